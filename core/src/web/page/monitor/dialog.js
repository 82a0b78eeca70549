// Asks the operator before an action, and says what it does.

const dialog = at("ask");
let askedAction = null;

// `warning` is shown apart, if there is one. `act` is called if the operator agrees.
function ask({ title, words, warning = "", label }, act) {
  put(at("ask-heading"), title);
  put(at("ask-words"), words);
  put(at("ask-warning"), warning);
  put(at("ask-yes"), label);
  askedAction = act;
  dialog.showModal();
  // The harmless choice: Enter changes nothing.
  at("ask-no").focus();
}

at("ask-no").addEventListener("click", () => dialog.close());
at("ask-yes").addEventListener("click", () => {
  const act = askedAction;
  dialog.close();
  act?.();
});
dialog.addEventListener("close", () => { askedAction = null; });
