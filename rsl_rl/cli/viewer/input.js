// Keys and gamepads, reported to the program as text in the field "input" of the panel, which is hidden.
// What is held is a state, and what happens once is counted: no report is missed when several are sent as one.
(() => {
  if (window.rslRlViewer) return;
  window.rslRlViewer = true;
  const MOVES = ["KeyW", "KeyA", "KeyS", "KeyD", "KeyQ", "KeyE", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"];
  const ONCE = {Space: "stop", KeyP: "pause", KeyR: "reset", KeyX: "push"};
  // Of the standard gamepad: A, start, Y, B.
  const BUTTONS = {0: "stop", 9: "pause", 3: "reset", 1: "push"};
  const held = new Set();
  const counts = {stop: 0, pause: 0, reset: 0, push: 0};
  const page = Math.random().toString(36).slice(2);
  const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  let sticks = {forward: 0, left: 0, turn: 0}, pressed = {}, reported = "";

  const field = () => {
    const label = [...document.querySelectorAll("label")].find((each) => each.textContent === "input");
    let row = label;
    while (row && !row.querySelector("input")) row = row.parentElement;
    if (!row) return null;
    row.parentElement.style.display = "none";
    return row.querySelector("input");
  };
  const report = () => {
    const text = JSON.stringify({page, held: [...held], sticks, counts});
    const input = field();
    if (!input || text === reported) return;
    reported = text;
    write.call(input, text);
    input.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const isText = (element) => element instanceof HTMLElement && (element.isContentEditable ||
    element.matches("textarea, select, input:not([type=checkbox]):not([type=range]):not([type=radio])"));
  // What was reached with the Tab key keeps the keys that it needs.
  const isWidget = (element) => element instanceof HTMLElement &&
    element.matches("button, [role=slider], [role=tab], input");

  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isText(document.activeElement)) return;
    if (isWidget(document.activeElement) && /^(Space|Arrow)/.test(event.code)) return;
    const once = ONCE[event.code];
    if (!once && !MOVES.includes(event.code)) return;
    // The camera of the page has the same keys.
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat) return;
    if (once) counts[once] += 1;
    else held.add(event.code);
    report();
  }, true);
  window.addEventListener("keyup", (event) => { if (held.delete(event.code)) report(); }, true);
  const release = () => { held.clear(); report(); };
  window.addEventListener("blur", release);
  document.addEventListener("visibilitychange", release);
  // After a click the keys are the robot's again.
  window.addEventListener("pointerup", () => setTimeout(() => {
    const active = document.activeElement;
    if (isWidget(active) && (!isText(active) || active.readOnly)) active.blur();
  }), true);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[role=option]")) setTimeout(() => document.activeElement?.blur());
  }, true);

  const steady = (value) => (Math.abs(value) < 0.12 ? 0 : Math.round(-20 * value) / 20);
  setInterval(() => {
    field();
    const pad = [...(navigator.getGamepads?.() ?? [])].find((each) => each && each.connected);
    const [x, y, turn] = pad ? pad.axes : [0, 0, 0];
    sticks = {forward: steady(y ?? 0) || 0, left: steady(x ?? 0) || 0, turn: steady(turn ?? 0) || 0};
    for (const [button, action] of Object.entries(BUTTONS)) {
      const isDown = Boolean(pad?.buttons[button]?.pressed);
      if (isDown && !pressed[button]) counts[action] += 1;
      pressed[button] = isDown;
    }
    report();
  }, 50);
})();
