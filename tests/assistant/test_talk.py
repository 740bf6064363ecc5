"""The scripted talk, spoken with the real model: feelings first, then skills, never a dead end."""

from __future__ import annotations

import pytest

from tests.assistant.talking import Chat, House

pytestmark = pytest.mark.rasa

FEELINGS = {
    "sad": "i'm so sad today",
    "anxious": "my anxiety is really bad right now",
    "angry": "i am furious with my boss",
    "ashamed": "i'm so ashamed of myself",
    "numb": "i feel numb and far away from everything",
    "lonely": "i feel so lonely",
    "grieving": "my grandfather passed away",
    "overwhelmed": "i'm overwhelmed, it's all too much",
    "guilty": "i feel so guilty about it",
    "exhausted": "i'm exhausted and drained",
    "unsure": "i don't know how i feel",
    "okay": "i'm doing okay today",
}
WAYS_ON = {"Coping menu", "Talk to a person"}


@pytest.mark.parametrize("feeling", FEELINGS)
def test_a_feeling_is_met_before_anything_is_offered(chat: Chat, feeling: str) -> None:
    chat.user(FEELINGS[feeling]).bot(f"utter_feel_{feeling}", "utter_menu")
    assert "buttons" not in chat.messages[0]
    assert len(chat.titles) == 6
    assert chat.titles[4:] == ["Something else", "Talk to a person"]
    assert chat.slot("feeling") == feeling


@pytest.mark.parametrize("feeling", FEELINGS)
def test_each_feeling_has_a_menu_of_its_own_with_a_reason_for_each_entry(chat: Chat, feeling: str) -> None:
    general = Chat(chat.house).user("/menu").messages[-1]["text"]
    menu = chat.user(f"/feel_{feeling}").messages[-1]
    assert menu["text"] != general
    for title, line in zip(chat.titles[:4], menu["text"].splitlines(), strict=True):
        assert line.startswith(f"- {title}: ") and len(line) > len(title) + 10
    chat.press("Something else").bot("utter_more_lead", "utter_more_skills")
    assert "Coping menu" in chat.titles and "Talk to a person" in chat.titles
    assert not set(chat.titles[:4]) & {button["title"] for button in menu["buttons"][:4]}


def test_the_beginning_offers_six_feelings_something_else_and_a_person(chat: Chat) -> None:
    chat.user("/start").bot("utter_start")
    assert len(chat.titles) == 8 and chat.titles[6:] == ["Something else", "Talk to a person"]
    chat.press("Something else").bot("utter_more_feelings")
    chat.press("Grieving").bot("utter_feel_grieving", "utter_menu")


def test_the_greeting_says_what_this_is_and_gives_the_lines(chat: Chat) -> None:
    chat.user("hello").bot("utter_greet", "utter_start")
    assert all(line in chat.messages[0]["text"] for line in ("program", "988", "741741", "911"))


def test_every_choice_leads_somewhere_and_leaves_a_way_on(house: House) -> None:
    """From every message with buttons each button is pressed, as far as the buttons go."""
    seen: set[tuple[str, ...]] = set()
    waiting: list[tuple[str, ...]] = [("/start",), ("/menu",), ("/calm",), ("hello",)]
    known: set[str] = set()
    while waiting:
        path = waiting.pop()
        chat = Chat(house)
        for payload in path:
            chat.user(payload)
        assert chat.names and "utter_fallback" not in chat.names and "utter_trouble" not in chat.names, path
        assert chat.titles, path
        assert WAYS_ON & set(chat.titles) or "Something else" in chat.titles, path
        for message in chat.messages:
            for button in message.get("buttons", ()):
                key = (chat.names[-1], chat.slot("feeling") or "", button["payload"])
                if key not in seen and button["payload"] not in known:
                    seen.add(key)
                    known.add(button["payload"])
                    waiting.append((*path, button["payload"]))
    assert len(known) > 40


@pytest.mark.parametrize("skill", ["temperature", "movement"])
def test_cautions_come_before_the_skill(chat: Chat, skill: str) -> None:
    payload = f'/choose_skill{{"skill":"{skill}"}}'
    chat.user(payload).bot("utter_caution")
    assert "heart" in chat.text and "eating disorder" in chat.text
    chat.press("None of these fit").bot("utter_skill")
    chat.user(payload).press("One fits, or not sure").bot("utter_caution_applies")
    assert "breath" in chat.text or "breathe" in chat.text


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("what is 988?", ["utter_ask_lines"]),
        ("what happens if i call 988?", ["utter_ask_line_call"]),
        ("will they send the police?", ["utter_ask_police"]),
        ("who are you? are you a real person?", ["utter_bot_challenge"]),
        ("i want to talk to a real person", ["utter_talk_to_person"]),
        ("i'm worried about my friend", ["utter_worry_other"]),
        ("thank you so much", ["utter_thanks"]),
        ("goodbye", ["utter_goodbye"]),
        ("tell me a joke", ["utter_small_talk"]),
        ("what's the capital of france", ["utter_out_of_scope"]),
        ("do i have adhd?", ["utter_ask_diagnosis"]),
        ("qwrtz plmk vvvx", ["utter_fallback"]),
        ("\U0001f642", ["utter_fallback"]),
        ("calm me down please", ["utter_calm_lead", "utter_calm"]),
        ("this isn't helping", ["utter_not_helping", "utter_more_skills"]),
        ("relax my muscles", ["utter_skill"]),
        ("/ready", ["utter_ready"]),
    ],
)
def test_small_things_get_their_answer(chat: Chat, said: str, names: list[str]) -> None:
    chat.user(said).bot(*names)


def test_spanish_is_answered_in_spanish_with_the_spanish_lines(chat: Chat) -> None:
    chat.user("estoy muy triste y no hablo inglés").bot("utter_in_spanish")
    assert "AYUDA" in chat.text and "741741" in chat.text and "inglés" in chat.text
    assert chat.slot("language") == "es"


def test_the_clinic_and_privacy_answers_come_from_clinic_yml(chat: Chat) -> None:
    from breakwater.clinic import load_clinic

    clinic = load_clinic()
    chat.user("what's the phone number of the clinic")
    assert chat.names[-1] == "utter_clinic" and clinic.phone and clinic.phone in chat.text
    chat.user("who sees this?").bot("utter_privacy")
    assert all(sentence in chat.text for sentence in clinic.sentences()["en"].values())


@pytest.mark.parametrize("failure", [ConnectionError("down"), TimeoutError("slow"), ValueError("nonsense")])
def test_an_action_server_that_fails_is_never_met_with_silence(
    house: House, chat: Chat, failure: Exception
) -> None:
    house.actions.fails = failure
    chat.user("/ask_privacy").bot("utter_trouble")
    chat.user('/choose_skill{"skill":"breathing"}').bot("utter_trouble")
    chat.user("/menu").bot("utter_menu_lead", "utter_menu")
    chat.user("i want to die").gives_lines()
