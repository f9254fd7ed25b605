// Keys and gamepads, reported to the program as text in the field "input" of the panel, which is hidden.
// What is held is a state, and what happens once is counted: no report is missed when several are sent as one. viser
// sends one value in 50 ms, of whatever control changed last, so that a report can get lost: each is repeated, and none
// is made right after another control was used. Reports are numbered, since they may arrive in another order.
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
  const REPEATED_AFTER = [150, 500], QUIET = 120;
  let sticks = {forward: 0, left: 0, turn: 0}, pressed = {}, reported = "", number = 0, usedAt = -QUIET;

  const field = () => {
    const label = [...document.querySelectorAll("label")].find((each) => each.textContent === "input");
    let row = label;
    while (row && !row.querySelector("input")) row = row.parentElement;
    if (!row) return null;
    row.parentElement.style.display = "none";
    return row.querySelector("input");
  };
  const send = () => {
    const input = field();
    if (!input || performance.now() < usedAt + QUIET) return false;
    number += 1;
    write.call(input, JSON.stringify({page, number, ...JSON.parse(reported)}));
    const before = usedAt;
    input.dispatchEvent(new Event("input", {bubbles: true}));
    usedAt = before;
    return true;
  };
  const repeat = (text) => { if (reported === text && !send()) setTimeout(repeat, QUIET, text); };
  const report = () => {
    const text = JSON.stringify({held: [...held], sticks, counts}), before = reported;
    if (text === before) return;
    reported = text;
    if (!send()) reported = before;
    else for (const after of REPEATED_AFTER) setTimeout(repeat, after, text);
  };
  for (const use of ["click", "input", "change"]) window.addEventListener(use, () => { usedAt = performance.now(); }, true);
  const isText = (element) => element instanceof HTMLElement && (element.isContentEditable ||
    element.matches("textarea, select, input:not([type=checkbox]):not([type=range]):not([type=radio])"));
  // What was reached with the Tab key keeps the keys that it needs.
  const isWidget = (element) => element instanceof HTMLElement &&
    element.matches("button, [role=slider], [role=tab], input");

  // Fields for numbers take the focus by themselves when their number changes; only a click or Tab may give it to one.
  let chosen = null;
  window.addEventListener("pointerdown", (event) => { chosen = event.target; }, true);
  window.addEventListener("focusin", (event) => {
    const field = event.target;
    if (isText(field) && chosen !== "by Tab" && !field.parentElement?.parentElement?.contains(chosen)) field.blur();
  }, true);

  window.addEventListener("keydown", (event) => {
    if (event.code === "Tab") chosen = "by Tab";
    const left = document.activeElement;
    if (isText(left) && ["Enter", "Escape"].includes(event.code)) {
      chosen = null;
      setTimeout(() => left.blur());
    }
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
