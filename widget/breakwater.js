/*
 * <breakwater-chat>: the lines, a quick way out, and a talk with the front door over HTTP.
 * It must never hide the lines, store anything, call anybody but its own server, put words into the page
 * as markup, or leave a person without an answer that is true.
 */

const WORDS = {
  en: {
    other: ["es", "Español"],
    bot: "Breakwater, a program",
    you: "You",
    region: "Chat",
    strip: "Crisis lines",
    people: "People answer, day and night",
    exit: "Leave quickly",
    shift: (left) => `Shift: ${left} more to leave this page.`,
    title: "You can put it into words here",
    intro: [
      "This is a program, not a person. Nobody is reading along as you write, and it is not an emergency service.",
      "It can listen, and offer small things that may help. You can skip any question.",
      "The first thing it tells you is who can see what you write.",
    ],
    exitNote:
      "“Leave quickly”, or the Shift key three times, ends the talk and clears this page. " +
      "Your browser’s history will still show that you were here.",
    start: "Start chat",
    end: "End and clear",
    ended: "The talk has ended, and it is cleared.",
    endedHere:
      "This page has forgotten the talk. We could not reach our server to clear it there too; " +
      "the clinic’s schedule will.",
    label: "Write in your own words",
    send: "Send",
    hint: "Enter sends. Shift + Enter starts a new line.",
    wait: "One moment…",
    answers: "Answers you can pick",
    picked: "your answer",
    call: (number) => `Call ${number}`,
    text: (number, body) => (body ? `Text ${body} to ${number}` : `Text ${number}`),
    open: (host) => `Open ${host}`,
    important: "Please read this first",
    step: (n, of) => `Step ${n} of ${of}`,
    breath: ["Breathe in", "Pause", "Breathe out", "Pause"],
    circle: ["Start the circle", "Pause the circle"],
    lost: "Not answered",
    kept: "Your words are still in the box below.",
    again: "Try again",
    anew: "Begin again",
    unseen: "No person has seen this.",
    failed: {
      start: ["We could not start the chat. The lines work without it."],
      any: ["We could not answer."],
      late: ["We could not answer in time."],
      offline: [
        "We could not answer: this device seems to be offline.",
        "Calls and texts need a phone signal, not the internet.",
      ],
      404: ["This talk has ended on our side, so we could not answer.", "You can begin again."],
      409: ["That answer is no longer open.", "Pick from the newest ones, or write it in your own words."],
      413: ["That message is too long for us, so we could not answer.", "You could send a part of it."],
      429: ["That came faster than we can answer.", "Wait a few seconds, then try again."],
    },
    lines: [
      { id: "988", label: "988 Suicide & Crisis Lifeline", call: "988", text: "988" },
      { id: "741741", label: "Crisis Text Line", text: "741741", body: "HOME" },
      { id: "911", label: "In danger right now", call: "911" },
    ],
  },
  es: {
    other: ["en", "English"],
    bot: "Breakwater, un programa",
    you: "Tú",
    region: "Chat",
    strip: "Líneas de ayuda",
    people: "Responden personas, de día y de noche",
    exit: "Salir rápido",
    shift: (left) => `Mayús: ${left} más para salir de esta página.`,
    title: "Aquí puedes ponerlo en palabras",
    intro: [
      "Esto es un programa, no una persona. Nadie está leyendo mientras escribes, y no es un servicio de emergencia.",
      "Puede escucharte y ofrecerte pequeñas cosas que tal vez ayuden. Puedes saltarte cualquier pregunta.",
      "Lo primero que te dice es quién puede ver lo que escribes.",
    ],
    exitNote:
      "«Salir rápido», o la tecla Mayús tres veces, termina la conversación y limpia esta página. " +
      "El historial de tu navegador seguirá mostrando que estuviste aquí.",
    start: "Empezar el chat",
    end: "Terminar y borrar",
    ended: "La conversación terminó y está borrada.",
    endedHere:
      "Esta página ya olvidó la conversación. No pudimos avisar a nuestro servidor para borrarla también allí; " +
      "se borrará según el calendario de la clínica.",
    label: "Escribe con tus propias palabras",
    send: "Enviar",
    hint: "Intro envía. Mayús + Intro empieza otra línea.",
    wait: "Un momento…",
    answers: "Respuestas que puedes elegir",
    picked: "tu respuesta",
    call: (number) => `Llama al ${number}`,
    text: (number, body) => (body ? `Envía ${body} al ${number}` : `Envía un mensaje al ${number}`),
    open: (host) => `Abre ${host}`,
    important: "Por favor, lee esto primero",
    step: (n, of) => `Paso ${n} de ${of}`,
    breath: ["Inhala", "Pausa", "Exhala", "Pausa"],
    circle: ["Mover el círculo", "Parar el círculo"],
    lost: "Sin respuesta",
    kept: "Tus palabras siguen en el cuadro de abajo.",
    again: "Intentar otra vez",
    anew: "Empezar de nuevo",
    unseen: "Ninguna persona ha visto esto.",
    failed: {
      start: ["No pudimos empezar el chat. Las líneas funcionan sin él."],
      any: ["No pudimos responder."],
      late: ["No pudimos responder a tiempo."],
      offline: [
        "No pudimos responder: este dispositivo parece no tener conexión.",
        "Las llamadas y los mensajes de texto necesitan señal de teléfono, no internet.",
      ],
      404: ["Esta conversación terminó de nuestro lado y no pudimos responder.", "Puedes empezar de nuevo."],
      409: ["Esa respuesta ya no está abierta.", "Elige entre las más nuevas, o escríbelo con tus palabras."],
      413: ["Ese mensaje es demasiado largo y no pudimos responder.", "Puedes enviar una parte."],
      429: ["Eso llegó más rápido de lo que podemos responder.", "Espera unos segundos e intenta otra vez."],
    },
    lines: [
      { id: "988", label: "Línea 988 de Suicidio y Crisis (oprime 2)", call: "988", text: "988", body: "AYUDA" },
      { id: "741741", label: "Crisis Text Line", text: "741741", body: "AYUDA" },
      { id: "911", label: "En peligro ahora mismo", call: "911" },
    ],
  },
};

const DEADLINE = 15_000; // ms; the front door answers within its own, much shorter one
const PATIENCE = 2_000; // ms that a message waits for a session that is being opened
const EXIT = "https://www.google.com/";
const CARDS = new Set(["crisis", "emergency", "hold", "failsafe"]);
const NOBODY = "none"; // a session that never exists: crisis words are answered even then

class Failure extends Error {
  constructor(why, lines) {
    super(String(why));
    this.why = why;
    this.lines = lines;
  }
}

/** An element with attributes and children; strings become text nodes, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const digits = (number) => String(number).replace(/[^\d+]/g, "");
const telephone = (line) => `tel:${digits(line.call)}`;
const texting = (line) =>
  `sms:${digits(line.text)}${line.body ? `?&body=${encodeURIComponent(line.body)}` : ""}`;

function web(address) {
  try {
    const url = new URL(address);
    return /^https?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

const listed = (value) => (Array.isArray(value) ? value : []);
const motionless = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

class BreakwaterChat extends HTMLElement {
  #words;
  #language;
  #root;
  #parts = {};
  #labels = [];
  #session = null;
  #opening = null;
  #talk = 0; // which talk answers belong to: an answer to an earlier one is dropped
  #asking = new Set();
  #waiting = 0;
  #last = null; // kind of the newest message
  #offers = []; // groups of answers that can still be picked
  #circle = null;
  #leaving = false;
  #shifts = { count: 0, alone: false, since: 0 };
  #listeners = null;

  connectedCallback() {
    const wanted = this.getAttribute("language") || navigator.language || "en";
    this.#speak(wanted.toLowerCase().startsWith("es") ? "es" : "en");
    if (!this.#root) {
      this.#root = this.attachShadow({ mode: "open" });
      const href = new URL("breakwater.css", import.meta.url).href;
      const ready = () => this.#build();
      // The page's own lines stay until the styles are here, so nothing jumps and nothing is ever missing.
      this.#root.append(make("link", { rel: "stylesheet", href, load: ready, error: ready }), make("slot"));
    }
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    addEventListener("keydown", (event) => this.#shiftDown(event), { signal, capture: true });
    addEventListener("keyup", (event) => this.#shiftUp(event), { signal, capture: true });
    addEventListener("pagehide", () => this.#vanish(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.#vanish(), { signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
    this.#vanish();
  }

  // ---- the page's parts ------------------------------------------------------------------------------

  #speak(language) {
    if (language === this.#language) return;
    this.#language = this.lang = language;
    this.#words = WORDS[language];
    for (const label of this.#labels) label();
    this.#parts.top?.replaceWith((this.#parts.top = this.#top()));
  }

  /** A text that stays on the page and follows the language of the talk. */
  #label(key) {
    const text = document.createTextNode("");
    const label = () => (text.data = this.#words[key]);
    label();
    this.#labels.push(label);
    return text;
  }

  #build() {
    const w = this.#words;
    const status = make("p", { class: "unseen", role: "status" });
    const panel = make("section", { class: "panel", "aria-label": w.region });
    const top = this.#top();
    this.#parts = { status, panel, top };
    this.#root.querySelector("slot").remove();
    this.#root.append(top, panel, status); // beside the link: moving it would load it again
    this.#welcome();
  }

  #top() {
    const w = this.#words;
    const item = (href, how, number) =>
      make("li", {}, make("a", { class: "bw-line", href }, make("span", {}, how), " ", make("b", {}, number)));
    const items = [];
    for (const line of w.lines) {
      if (line.call) items.push(item(telephone(line), ...split(w.call(line.call), line.call)));
      if (line.text) items.push(item(texting(line), ...split(w.text(line.text, line.body), line.text)));
    }
    const leave = (event) => {
      event.preventDefault();
      this.#leave();
    };
    return make(
      "div",
      { class: "bw-top" },
      make("nav", { class: "bw-strip", "aria-label": w.strip }, make("p", {}, w.people), make("ul", {}, ...items)),
      make("a", { class: "bw-exit", href: this.#exit(), rel: "nofollow noreferrer", draggable: "false", click: leave }, w.exit),
    );
  }

  #exit() {
    const own = this.getAttribute("exit") || this.querySelector("a.bw-exit")?.href;
    return (web(own) ?? new URL(EXIT)).href;
  }

  /** The page before the first message: nothing has been asked of the server yet. */
  #welcome(note) {
    const w = this.#words;
    const [code, name] = w.other;
    this.#labels = [];
    this.#parts.panel.setAttribute("aria-label", w.region);
    const switchTo = () => {
      this.#speak(code);
      this.#welcome();
      this.#root.querySelector(".language").focus();
    };
    const words = w.intro.map((sentence) => make("p", {}, sentence));
    this.#parts.panel.replaceChildren(
      make(
        "div",
        { class: "welcome" },
        note ? make("p", { class: "note", tabindex: "-1" }, note) : null,
        make("h2", {}, w.title),
        ...words,
        make(
          "p",
          { class: "row" },
          make("button", { type: "button", class: "main start", click: () => this.#begin() }, w.start),
          make("button", { type: "button", class: "plain language", lang: code, click: switchTo }, name),
        ),
        make("p", { class: "small" }, w.exitNote),
      ),
    );
  }

  #begin() {
    const log = make("div", { class: "log", role: "log", "aria-live": "off", "aria-label": this.#words.region, tabindex: "-1" });
    const dots = make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
    const wait = make("p", { class: "wait", hidden: true }, dots, this.#label("wait"));
    const box = make("textarea", {
      id: "box",
      rows: "1",
      autocomplete: "off",
      autocapitalize: "sentences",
      spellcheck: "false", // some browsers send the text away to check it
      enterkeyhint: "send",
      keydown: (event) => this.#key(event),
    });
    const form = make(
      "form",
      { class: "write", submit: (event) => this.#submit(event), novalidate: true },
      make("label", { for: "box" }, this.#label("label")),
      make("div", { class: "field" }, box, make("button", { class: "main send" }, this.#label("send"))),
      make("p", { class: "small hint" }, this.#label("hint")),
      make("button", { type: "button", class: "plain end", click: () => this.#end() }, this.#label("end")),
    );
    Object.assign(this.#parts, { log, wait, box });
    this.#parts.panel.replaceChildren(log, wait, form);
    this.#parts.panel.scrollIntoView({ block: "nearest" });
    // A keyboard that slides over the welcome helps nobody: on touch screens the box waits to be touched.
    (matchMedia("(hover: hover) and (pointer: fine)").matches ? box : log).focus({ preventScroll: true });
    this.#open();
  }

  // ---- the talk --------------------------------------------------------------------------------------

  /** Opens a session and shows what the server says first. */
  async #connect() {
    const talk = this.#talk;
    const answer = await this.#ask("POST", "chat/sessions", { language: this.#language });
    if (talk !== this.#talk) return;
    if (typeof answer.session !== "string") throw new Failure("any");
    this.#show(answer);
  }

  /** The same from a button: a failure is shown, and nothing is thrown. */
  async #open() {
    const talk = this.#talk;
    this.#wait(1);
    this.#opening = this.#connect();
    try {
      await this.#opening;
    } catch (failure) {
      if (talk === this.#talk) this.#failed(failure, { start: true });
    }
    if (talk !== this.#talk) return;
    this.#opening = null;
    this.#wait(-1);
  }

  /** said: {text} as typed, or {choice, label} as picked from `offer`. A turn never waits for an earlier one. */
  async #say(said) {
    const talk = this.#talk;
    const bubble = this.#add(this.#bubble("you", [said.text ?? said.label]));
    this.#close(said.offer, said.choice);
    this.#wait(1);
    try {
      const answer = await this.#deliver(said);
      if (talk === this.#talk) this.#show(answer);
    } catch (failure) {
      if (talk === this.#talk) this.#failed(failure, said, bubble);
    }
    if (talk === this.#talk) this.#wait(-1);
  }

  async #deliver({ text, choice }) {
    const opening = this.#opening?.catch(() => {}); // told to the person by #open
    if (!this.#session && opening) await Promise.race([opening, after(PATIENCE)]);
    const known = this.#session;
    const send = () => {
      const session = this.#session ?? NOBODY;
      return this.#ask("POST", "chat/messages", choice === undefined ? { session, text } : { session, choice });
    };
    try {
      return await send();
    } catch (failure) {
      if (known || failure.why !== 404) throw failure;
      await (this.#opening ?? this.#connect());
      return send();
    }
  }

  async #ask(method, path, body, keepalive = false) {
    const control = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      control.abort();
    }, DEADLINE);
    if (!keepalive) this.#asking.add(control); // a farewell outlives the talk
    try {
      const response = await fetch(new URL(path, this.#server()), {
        method,
        keepalive,
        signal: control.signal,
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
      });
      if (response.status === 204) return null;
      const answer = await response.json().catch(() => ({}));
      if (!response.ok) throw new Failure(response.status, listed(answer?.lines));
      const messages = listed(answer?.messages).filter((m) => typeof m?.text === "string" && m.text.trim());
      if (!messages.length) throw new Failure("any");
      return { ...answer, messages };
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(late ? "late" : navigator.onLine ? "any" : "offline");
    } finally {
      clearTimeout(timer);
      this.#asking.delete(control);
    }
  }

  #server() {
    return web(this.getAttribute("server")) ?? new URL("../", import.meta.url);
  }

  #show({ messages, session, language }) {
    if (typeof session === "string") this.#session = session;
    if (WORDS[language]) this.#speak(language);
    const spoken = [];
    let first = null;
    let lead = null;
    for (const message of messages) {
      const card = CARDS.has(message.kind);
      const part = this.#add(card ? this.#card(message) : this.#said(message));
      first ??= part;
      // In a hold the person may go on writing: focus is led to the lines once, not at every message.
      if (card && !(message.kind === "hold" && this.#last === "hold")) lead = part;
      else spoken.push(message.text, ...listed(message.choices).map((choice) => choice.label));
      this.#last = message.kind;
    }
    this.#announce(spoken.join("\n"));
    if (lead) lead.focus({ preventScroll: true });
    this.#look(lead ?? first, lead ?? this.#parts.log.lastElementChild);
  }

  #said(message) {
    const parts = message.step ? this.#step(message) : texts(message.text);
    const lines = listed(message.lines);
    const kind = ["step", "checkin"].includes(message.kind) ? message.kind : "say";
    return this.#bubble(
      "bot",
      parts,
      kind,
      this.#choices(listed(message.choices)),
      lines.length ? this.#lines(lines) : null,
    );
  }

  #bubble(who, parts, kind = "say", ...below) {
    const w = this.#words;
    return make(
      "div",
      { class: `turn ${who} ${kind}`, lang: who === "bot" ? this.#language : undefined },
      make("p", { class: "who" }, who === "bot" ? w.bot : w.you),
      make("div", { class: "bubble", dir: "auto" }, ...parts),
      ...below,
    );
  }

  /** The calm full-width card: the first words, then at once the lines. Read out when focus reaches it. */
  #card(message) {
    const w = this.#words;
    const id = `words-${(cards += 1)}`;
    const [first, ...rest] = texts(message.text);
    const attributes = {
      class: `card ${message.kind}`,
      role: "group",
      tabindex: "-1",
      lang: this.#language,
      "aria-label": w.important,
      "aria-describedby": `${id} ${id}-rest`,
    };
    const lines = listed(message.lines);
    return make(
      "div",
      attributes,
      make("div", { class: "words", id }, first),
      this.#lines(lines.length ? lines : w.lines),
      make("div", { class: "words", id: `${id}-rest`, hidden: !rest.length }, ...rest),
      this.#choices(listed(message.choices)),
    );
  }

  #lines(lines) {
    const w = this.#words;
    const items = lines.map((line) => {
      const ways = [];
      if (line.call) ways.push(make("a", { class: "way", href: telephone(line) }, w.call(line.call)));
      if (line.text) ways.push(make("a", { class: "way", href: texting(line) }, w.text(line.text, line.body)));
      const url = web(line.url);
      if (url) {
        const away = { class: "way web", href: url.href, target: "_blank", rel: "nofollow noreferrer" };
        ways.push(make("a", away, w.open(url.hostname)));
      }
      return make("li", {}, make("span", { class: "label" }, line.label), make("span", { class: "ways" }, ...ways));
    });
    return make("ul", { class: "lines" }, ...items);
  }

  #choices(choices) {
    if (!choices.length) return null;
    const group = make("div", { class: "choices", role: "group", "aria-label": this.#words.answers });
    for (const { id, label } of choices) {
      const pick = (event) => {
        const button = event.currentTarget;
        if (button.getAttribute("aria-disabled") !== "true") this.#say({ choice: id, label, offer: group });
      };
      group.append(make("button", { type: "button", class: "choice", "data-id": id, click: pick }, label));
    }
    this.#offers.push(group);
    return group;
  }

  /** Ends every open offer. The picked button keeps the focus, so that Tab goes on to what comes next. */
  #close(offer, picked) {
    for (const group of this.#offers) {
      for (const button of group.children) {
        if (group === offer && button.dataset.id === String(picked)) {
          button.setAttribute("aria-disabled", "true");
          button.classList.add("picked");
          button.append(make("span", { class: "unseen" }, ` (${this.#words.picked})`));
          button.addEventListener("blur", () => (button.disabled = button.classList.contains("picked")), { once: true });
        } else button.disabled = true;
      }
    }
    this.#offers = [];
    this.#circle?.();
    for (const button of this.#root.querySelectorAll(".failure .again")) button.disabled = true;
  }

  #reopen(offer) {
    for (const button of offer.children) {
      button.disabled = false;
      button.removeAttribute("aria-disabled");
      button.classList.remove("picked");
      button.querySelector(".unseen")?.remove();
    }
    this.#offers.push(offer);
  }

  #step({ step, text }) {
    const w = this.#words;
    const n = Number(step.number) || 1;
    const of = Number(step.of) || n;
    const marks = make("span", { class: "marks", "aria-hidden": "true" });
    for (let i = 1; i <= Math.min(of, 12); i += 1) marks.append(make("i", { class: i <= n ? "done" : undefined }));
    const head = make("p", { class: "progress" }, w.step(n, of), marks);
    const breathe = step.kind === "breathe" ? [this.#breathe(listed(step.seconds))] : [];
    return [head, ...texts(text), ...breathe];
  }

  /** seconds: [in, out], [in, pause, out] or [in, pause, out, pause]. The words beside say it without the circle. */
  #breathe(seconds) {
    const w = this.#words;
    const given = seconds.map(Number).filter((s) => s >= 0 && s <= 60);
    const [breathIn, out] = given.length === 2 ? given : [given[0] || 4, given[2] || 6];
    const phases = [
      [0, breathIn, 1],
      [1, given.length > 2 ? given[1] : 0, 1],
      [2, out, 0.55],
      [3, given[3] ?? 0, 0.55],
    ].filter(([, length]) => length > 0);
    const disc = make("span", { class: "disc" });
    const words = make("span", { class: "now", "aria-hidden": "true" });
    const button = make("button", { type: "button", class: "plain", click: () => (timer ? stop() : start()) });
    let timer = 0;
    let at = 0;
    let left = 0;
    const beat = () => {
      if (left === 0) {
        const [name, length, scale] = phases[at % phases.length];
        words.firstChild.data = w.breath[name];
        left = length;
        at += 1;
        if (!motionless()) {
          const from = getComputedStyle(disc).transform;
          disc.animate([{ transform: from }, { transform: `scale(${scale})` }], {
            duration: length * 1000,
            easing: "ease-in-out",
            fill: "forwards",
          });
        }
      }
      words.lastChild.textContent = String(left);
      left -= 1;
    };
    const start = () => {
      this.#circle?.();
      this.#circle = stop;
      at = left = 0;
      words.replaceChildren("", make("b"));
      button.textContent = w.circle[1];
      timer = setInterval(beat, 1000);
      beat();
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      for (const animation of disc.getAnimations()) animation.cancel();
      words.replaceChildren();
      button.textContent = w.circle[0];
      if (this.#circle === stop) this.#circle = null;
    };
    start();
    return make("div", { class: "breathe" }, make("span", { class: "ring", "aria-hidden": "true" }, disc), words, button);
  }

  // ---- when something fails --------------------------------------------------------------------------

  #failed(failure, said, bubble) {
    const w = this.#words;
    const why = said.start && failure.why === "any" ? "start" : failure.why;
    const [what, next] = w.failed[why] ?? w.failed[said.start ? "start" : "any"];
    const sentences = [what, !said.start && w.unseen, next];
    if (bubble) {
      bubble.classList.add("lost");
      bubble.append(make("p", { class: "mark" }, w.lost));
    }
    if (said.text !== undefined) {
      this.#keep(said.text);
      sentences.push(w.kept);
    }
    if (said.offer && why !== 409) this.#reopen(said.offer);
    const again = (event) => {
      event.currentTarget.disabled = true;
      if (why === 404) this.#anew();
      else if (said.start) this.#open();
      else this.#retry(said);
    };
    const label = why === 404 ? w.anew : w.again;
    const pointless = why === 409 || why === 413;
    const lines = failure.lines?.length ? failure.lines : w.lines;
    const card = make(
      "div",
      { class: "card failure", role: "alert" },
      make("p", { class: "words" }, sentences.filter(Boolean).join(" ")),
      pointless ? null : make("button", { type: "button", class: "again", click: again }, label),
      this.#lines(lines),
    );
    this.#look(this.#add(card));
  }

  #retry(said) {
    const { box } = this.#parts;
    if (box.value === said.text) box.value = "";
    this.#say(said);
  }

  #anew() {
    this.#session = null;
    this.#open();
    this.#parts.box.focus();
  }

  /** Puts words back into the box, before whatever has been typed since. */
  #keep(text) {
    const { box } = this.#parts;
    if (!box.value.includes(text)) box.value = box.value ? `${text}\n${box.value}` : text;
  }

  // ---- leaving ---------------------------------------------------------------------------------------

  #forget() {
    const session = this.#session;
    this.#session = this.#opening = this.#last = null;
    this.#talk += 1;
    this.#waiting = 0;
    this.#offers = [];
    this.#circle?.();
    for (const control of this.#asking) control.abort();
    if (this.#parts.box) {
      this.#parts.box.value = "";
      this.#parts.status.textContent = "";
      for (const name of ["log", "wait", "box"]) delete this.#parts[name];
      this.#welcome();
    }
    if (!session) return Promise.resolve();
    return this.#ask("DELETE", `chat/sessions/${encodeURIComponent(session)}`, undefined, true);
  }

  /** The page is going: nobody is left to be told whether the server heard it. */
  #vanish() {
    this.#forget().catch(() => {});
  }

  async #end() {
    const gone = this.#forget();
    const w = this.#words;
    const note = await gone.then(
      () => w.ended,
      (failure) => (failure.why === 404 ? w.ended : w.endedHere),
    );
    this.#welcome(note);
    this.#root.querySelector(".note").focus();
  }

  /** Blank first, so that nothing can be seen while the next page loads; the history entry is replaced. */
  #leave() {
    if (this.#leaving) return;
    this.#leaving = true;
    const target = this.#exit();
    document.body.replaceChildren(); // disconnects this element, which forgets the talk and tells the server
    document.title = "…";
    location.replace(target);
  }

  #shiftDown(event) {
    if (event.key !== "Shift") this.#shifts = { count: 0, alone: false, since: 0 };
    else if (!event.repeat) this.#shifts.alone = true;
  }

  #shiftUp(event) {
    const shifts = this.#shifts;
    if (event.key !== "Shift" || !shifts.alone) return;
    shifts.alone = false;
    const now = performance.now();
    if (now - shifts.since > 5000) Object.assign(shifts, { count: 0, since: now });
    shifts.count += 1;
    if (shifts.count === 3) this.#leave();
    else this.#announce(this.#words.shift(3 - shifts.count));
  }

  // ---- small things ----------------------------------------------------------------------------------

  #submit(event) {
    event.preventDefault();
    const { box } = this.#parts;
    const text = box.value;
    if (text.trim()) {
      box.value = "";
      this.#say({ text });
    }
    box.focus({ preventScroll: true });
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#submit(event);
  }

  #add(part) {
    this.#parts.log.append(part);
    return part;
  }

  #wait(change) {
    const { wait } = this.#parts;
    if (!wait) return;
    this.#waiting += change;
    wait.hidden = this.#waiting < 1;
    const talk = this.#talk;
    if (change > 0) {
      this.#look(wait);
      after(1500).then(() => talk === this.#talk && !wait.hidden && this.#announce(this.#words.wait));
    }
  }

  /** Scrolls to what is new: to its end when all of it fits, else to where reading begins. */
  #look(first, last = first) {
    const room = innerHeight - this.#parts.top.offsetHeight - this.#parts.box.form.offsetHeight;
    const fits = last.getBoundingClientRect().bottom - first.getBoundingClientRect().top < room;
    const behavior = motionless() ? "auto" : "smooth";
    if (fits && !first.classList.contains("card")) last.scrollIntoView({ block: "nearest", behavior });
    else first.scrollIntoView({ block: "start", behavior });
  }

  #announce(words) {
    const { status } = this.#parts;
    if (!words || !status) return;
    status.textContent = words;
    after(10_000).then(() => status.textContent === words && (status.textContent = ""));
  }
}

let cards = 0;

const after = (ms) => new Promise((done) => setTimeout(done, ms));

/** "Text HOME to 741741" → ["Text HOME to", "741741"] */
const split = (words, number) => [words.slice(0, words.lastIndexOf(number)).trim(), number];

/** One paragraph for each line; lines that begin with "- " or "· " become a list. */
function texts(text) {
  const parts = [];
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*[-·•] (.*)/);
    if (!item) parts.push(line.trim() ? make("p", {}, line.trim()) : null);
    else if (parts.at(-1)?.localName === "ul") parts.at(-1).append(make("li", {}, item[1]));
    else parts.push(make("ul", {}, make("li", {}, item[1])));
  }
  return parts.filter(Boolean);
}

customElements.define("breakwater-chat", BreakwaterChat);
