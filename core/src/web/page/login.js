// Logs the user in on each connection of the page: with a password (SCRAM), as a new user, or with a token.
//
// The page opens a connection when the user submits the form, because the server closes one that does not log in soon.
// The password is forgotten after the login. What remains is the salted password: a key that no script can read, and
// that is good for one salt and iteration count of this server. With it, or with the token, the page logs in again when
// it reconnects. Nothing of this is stored.

import * as scram from "./scram.js";

// Sentences for close reasons and answers of the server. Other answers are shown as they are.
const SENTENCES = new Map([
  ["unauthorized", "The server did not accept the login."],
  ["authentication_timeout", "The login took too long. Try again."],
  ["session_expired", "The session has expired. Log in again."],
  ["replaced", "The user has logged in elsewhere."],
  ["connection lost", "There is no connection to the server."],
  ["the proof is wrong", "Wrong user name or password."],
]);
const MALFORMED = "The server's answer is malformed.";
const STRANGER = "The server does not know the password. This may not be the server that you want.";
const INSECURE = "Logging in needs HTTPS or this machine. Open the page with https://, or on the server as http://localhost.";

// What this class needs of the page, as functions: `connect` opens the connection and then calls `begin`, `open`
// returns another WebSocket to the server, `show` shows a line, `refused` drops the connection and calls `ask`, and
// `done` receives the name of the user who is logged in.
export class Login {
  #mode;
  #page;
  #form = document.getElementById("login-template").content.firstElementChild.cloneNode(true);
  // Whether the form is for a new user.
  #isNew = false;
  // What the user has submitted: `{ user, password, isNew }` or `{ token }`, until the login has succeeded or failed.
  #typed = null;
  // What logs in again: `{ user, salt, iterations, key }` or `{ token }`.
  #kept = null;
  // The login in progress.
  #attempt = null;
  // The login that has succeeded.
  #session = null;

  constructor(mode, page) {
    this.#mode = mode;
    this.#page = page;
    document.getElementById("log").before(this.#form);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#element("login-other").addEventListener("click", () => {
      this.#isNew = !this.#isNew;
      this.#present("");
    });
  }

  // Whether a new connection can log in without the user.
  get canResume() {
    return this.#kept !== null;
  }

  // Shows the form, with the reason why it is needed again. Nothing logs in without the user from now on.
  ask(why) {
    this.#attempt = this.#session = this.#typed = this.#kept = null;
    const closed = /^[a-z_]+$/.test(why) ? "The server has closed the connection (" + why + ")." : why;
    this.#present(SENTENCES.get(why) ?? closed);
  }

  // Sends the first message on a connection that has opened.
  begin(socket) {
    const attempt = { socket, ...(this.#typed ?? this.#kept), first: null, serverFirst: null, expected: null };
    this.#attempt = attempt;
    if (attempt.token !== undefined) return socket.send("/auth " + attempt.token);
    if (attempt.isNew) return socket.send("create " + attempt.user + " " + attempt.password);
    attempt.nonce = scram.newNonce();
    attempt.first = scram.firstMessage(attempt.user, attempt.nonce);
    socket.send("/auth scram " + attempt.first);
  }

  // Handles a message that arrives before the login is complete.
  receive(text) {
    const attempt = this.#attempt;
    const [, kind, rest] = /^(scram |notice: you are |error: (?:auth: |register: )?|closing )(.*)$/s.exec(text) ?? [];
    if (kind === undefined) return this.#page.show(typeof text === "string" ? text : "(bytes)");
    if (kind.startsWith("error")) return this.#fail(rest, !attempt.isNew);
    if (kind === "scram ") return this.#exchange(attempt, rest);
    // The reason of the close says the same.
    if (kind === "closing ") return;
    if (attempt.first !== null && !attempt.isVerified) return this.#fail(STRANGER);
    this.#succeed(attempt, rest);
  }

  // Handles a SCRAM message of the server: its first, or its proof that it knows the password.
  #exchange(attempt, message) {
    if (attempt.expected !== null) {
      attempt.isVerified = message === attempt.expected;
      if (!attempt.isVerified) this.#fail(STRANGER);
    } else if (attempt.first === null || attempt.serverFirst !== null) {
      this.#fail(MALFORMED);
    } else {
      attempt.serverFirst = message;
      this.#prove(attempt, message);
    }
  }

  // Proves to the server that the user knows the password.
  async #prove(attempt, serverFirst) {
    try {
      const { nonce, salt, iterations } = scram.parseServerFirst(serverFirst, attempt.nonce);
      if (attempt.password === undefined && (attempt.salt !== salt || attempt.iterations !== iterations)) {
        throw new Error("The password may have changed. Log in again.");
      }
      const key = attempt.key ?? await scram.saltedPassword(attempt.password, salt, iterations);
      const { message, expected } = await scram.lastMessage(key, attempt.first, serverFirst, nonce);
      // The connection may have ended meanwhile.
      if (this.#attempt !== attempt || attempt.socket.readyState !== WebSocket.OPEN) return;
      Object.assign(attempt, { expected, salt, iterations, key });
      attempt.socket.send("/auth scram " + message);
    } catch (error) {
      if (this.#attempt === attempt) this.#fail(error.message);
    }
  }

  #succeed(attempt, user) {
    const { salt, iterations, key, token } = attempt;
    if (attempt.isNew) this.#learnKey(attempt);
    else this.#kept = token === undefined ? { user: attempt.user, salt, iterations, key } : { token };
    this.#session = attempt;
    this.#attempt = this.#typed = null;
    this.#isNew = false;
    for (const name of ["password", "again", "token"]) this.#element(name).value = "";
    this.#form.hidden = true;
    this.#page.done(user);
  }

  // Derives the key of a new user. The server sends the salt only in an exchange, so a second connection begins one and
  // closes. If it fails, the user must log in again after this connection.
  #learnKey(attempt) {
    const { user, password } = attempt;
    const nonce = scram.newNonce();
    const socket = this.#page.open();
    socket.onopen = () => socket.send("/auth scram " + scram.firstMessage(user, nonce));
    socket.onmessage = async (event) => {
      socket.close();
      try {
        const { salt, iterations } = scram.parseServerFirst(String(event.data).replace(/^scram /, ""), nonce);
        const key = await scram.saltedPassword(password, salt, iterations);
        if (this.#session === attempt) this.#kept = { user, salt, iterations, key };
      } catch {
        // There is no key, as if this had not been tried.
      }
    };
  }

  #fail(why, clearsSecrets = true) {
    if (clearsSecrets) for (const name of ["password", "token"]) this.#element(name).value = "";
    this.#page.refused(why);
  }

  #submit() {
    if (this.#typed !== null) return;
    const value = (name) => this.#element(name).value;
    const [user, password, again, token] = ["user", "password", "again", "token"].map(value);
    if (this.#mode === "token") {
      this.#typed = { token: token.trim() };
    } else {
      const problem = this.#isNew ? problemOf(user.trim(), password, again) : "";
      if (problem !== "") return this.#present(problem);
      this.#typed = { user: user.trim(), password, isNew: this.#isNew };
    }
    this.#present("", true);
    this.#page.connect();
  }

  // Shows the form with an error, or disables its buttons during a login.
  #present(error, isBusy = false) {
    const isToken = this.#mode === "token";
    const cannot = !isToken && !scram.isAvailable();
    const shown = { user: !isToken, password: !isToken, again: this.#isNew, token: isToken };
    for (const [name, isShown] of Object.entries(shown)) {
      const input = this.#element(name);
      input.parentElement.hidden = !isShown;
      input.disabled = !isShown || cannot;
      input.readOnly = isBusy;
    }
    this.#element("password").autocomplete = this.#isNew ? "new-password" : "current-password";
    const [submit, other] = [this.#element("login-submit"), this.#element("login-other")];
    const [act, change] = this.#isNew ? ["Create account", "Back to login"] : ["Log in", "Create account"];
    this.#element("login-heading").textContent = submit.textContent = act;
    other.textContent = change;
    other.hidden = this.#mode !== "register";
    submit.disabled = other.disabled = isBusy || cannot;
    this.#element("login-error").textContent = cannot ? INSECURE : error;
    this.#form.setAttribute("aria-busy", isBusy);
    this.#form.hidden = false;
    // The first field that is still empty, or else the last one.
    const fields = Object.keys(shown).filter((name) => shown[name]).map((name) => this.#element(name));
    if (!isBusy) (fields.find((field) => field.value === "") ?? fields.at(-1)).focus();
  }

  #element(id) {
    return this.#form.querySelector("#" + id);
  }
}

// Returns why a new user can't have this name and password, or nothing. The server checks the rest.
function problemOf(user, password, again) {
  // In the line that the server receives, a space ends the name, and spaces around the password are lost.
  if (/\s/.test(user)) return "A user name has no spaces.";
  if (password !== password.trim()) return "A password can't begin or end with a space.";
  return password === again ? "" : "The passwords differ.";
}
