"""The small process that people reach: web chat and texting, sessions and holds, deadlines, limits.

It screens every message first and answers danger by itself. It must never wait for the assistant, a lock
or the store before it does, and never let a reply to danger leave without the lines.
"""
