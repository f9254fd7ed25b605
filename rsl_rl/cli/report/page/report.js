// Draws the curves of a report. One range of x holds for all of them.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const hint = document.getElementById("no-script");
  if (!data) return hint.remove();
  const state = { axis: data.axes[0], zoom: null, width: 1 };
  const axisNames = { steps: "environment steps", iteration: "iteration", seconds: "training time" };
  const resetButton = document.getElementById("reset");

  // -- numbers ---------------------------------------------------------------------------------------------------------

  function short(value) {
    const size = Math.abs(value);
    for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= unit * (unit > 1e3 ? 1 : 10)) return `${+(value / unit).toPrecision(4)}${letter}`;
    }
    return size && size < 1e-3 ? value.toExponential(1) : `${+value.toPrecision(4)}`;
  }

  function clock(seconds, step) {
    if (step >= 3600) return `${+(seconds / 3600).toFixed(2)} h`;
    if (step >= 60) return `${+(seconds / 60).toFixed(1)} min`;
    return `${+seconds.toPrecision(4)} s`;
  }

  function ticks(low, high, count, isWhole) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    let step = ([1, 2, 5].find((factor) => factor * power >= 0.6 * rough) || 10) * power;
    if (isWhole) step = Math.max(1, Math.round(step));
    const found = [];
    // Not by adding steps, which would miss zero by a rounding error.
    for (let index = Math.ceil(low / step - 1e-9); index <= high / step + 1e-9; index++) found.push(+(index * step).toPrecision(12));
    return found;
  }

  function logTicks(low, high) {
    const found = [];
    for (let power = Math.ceil(low); power <= high; power++) found.push(power);
    return found.length > 1 ? found.filter((_, index) => index % Math.ceil(found.length / 6) === 0) : ticks(low, high, 4);
  }

  function smoothed(values) {
    const before = Math.floor((state.width - 1) / 2), after = Math.floor(state.width / 2);
    const sums = [0];
    for (const value of values) sums.push(sums[sums.length - 1] + value);
    return values.map((_, index) => {
      const low = Math.max(0, index - before), high = Math.min(values.length, index + after + 1);
      return (sums[high] - sums[low]) / (high - low);
    });
  }

  // The first and the last index of what lies in a range of x.
  function within(x, range) {
    let first = x.findIndex((value) => value >= range[0]), last = x.length - 1;
    while (last > 0 && x[last] > range[1]) last--;
    return [first < 0 ? x.length : first, last];
  }

  // The same with one point more to each side, so that the line leaves through the frame.
  function widened(x, [first, last]) {
    return [Math.max(0, first - 1), Math.min(x.length - 1, last + 1)];
  }

  function wholeRange() {
    const all = data.grids.map((grid) => grid[state.axis]).filter((x) => x.length);
    const low = Math.min(...all.map((x) => x[0])), high = Math.max(...all.map((x) => x[x.length - 1]));
    return low < high ? [low, high] : [low - 0.5, high + 0.5];
  }

  function zoomTo(low, high) {
    const [first, last] = wholeRange();
    low = Math.max(first, low);
    high = Math.min(last, high);
    state.zoom = high - low >= last - first || high <= low ? null : [low, high];
    resetButton.disabled = state.zoom === null;
    all.forEach((chart) => chart.draw());
  }

  const reset = () => zoomTo(-Infinity, Infinity);

  // -- a chart ---------------------------------------------------------------------------------------------------------

  function node(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  class Chart {
    constructor(figure, index) {
      this.place = figure.querySelector(".plot");
      this.output = figure.querySelector("output");
      this.tag = figure.dataset.tag;
      this.clip = `clip${index}`;
      this.point = null;
      this.svg = node("svg", { role: "img", tabindex: "0", "aria-roledescription": "chart" });
      this.place.append(this.svg);
      const chooser = figure.querySelector(".chooser");
      if (chooser) chooser.addEventListener("change", () => { this.tag = chooser.value; this.point = null; this.draw(); });
      this.log = figure.querySelector(".log");
      if (this.log) this.log.addEventListener("change", () => this.draw());
      this.svg.addEventListener("pointerdown", (event) => this.press(event));
      this.svg.addEventListener("pointermove", (event) => this.move(event));
      this.svg.addEventListener("pointerup", (event) => this.release(event));
      this.svg.addEventListener("pointercancel", () => this.cancel());
      this.svg.addEventListener("pointerleave", () => { if (this.pressed === undefined) this.show(null); });
      this.svg.addEventListener("dblclick", reset);
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.svg.addEventListener("blur", () => { this.output.setAttribute("aria-live", "off"); this.show(null); });
      new ResizeObserver(() => this.draw()).observe(this.place);
    }

    draw() {
      const width = this.place.clientWidth, height = this.place.clientHeight;
      if (!width || !height) return;
      const curve = data.curves[this.tag];
      this.raw = { x: data.grids[curve.x][state.axis], y: curve.y };
      // Of a long curve only the peaks are here; what is smoothed are the means of its stretches.
      const chosen = (state.width > 1 && curve.mean) || curve;
      this.x = data.grids[chosen.x][state.axis];
      this.y = state.width > 1 ? smoothed(chosen.y) : chosen.y;
      this.note = state.width > 1 ? `, mean of up to ${(state.width * (chosen.points || 1)).toLocaleString("en")}` : "";
      const range = (this.range = state.zoom || wholeRange());
      const isLog = this.log && this.log.checked && this.y.some((value) => value > 0);
      this.level = isLog ? (value) => Math.log10(Math.max(value, Number.MIN_VALUE)) : (value) => value;
      const [first, last] = (this.inside = within(this.x, range)), around = widened(this.x, this.inside);
      const seen = this.y.slice(...(first <= last ? [first, last + 1] : [around[0], around[1] + 1]));
      const usable = (isLog ? seen.filter((value) => value > 0) : seen).map(this.level);
      let low = Math.min(...usable), high = Math.max(...usable);
      if (!usable.length) [low, high] = [0, 1];
      const room = low < high ? (high - low) * 0.06 : Math.abs(low) * 0.1 || 1;
      [low, high] = [low - room, high + room];

      const isLarge = height > 200;
      const yTicks = isLog ? logTicks(low, high) : ticks(low, high, isLarge ? 6 : 3);
      const texts = yTicks.map((tick) => short(isLog ? 10 ** tick : tick));
      const box = (this.box = { left: 12 + 6.3 * Math.max(...texts.map((text) => text.length)), right: width - 10, top: 8, bottom: height - (isLarge ? 38 : 22) });
      this.toX = (value) => box.left + ((value - range[0]) / (range[1] - range[0])) * (box.right - box.left);
      this.toY = (value) => box.bottom - ((this.level(value) - low) / (high - low)) * (box.bottom - box.top);
      this.fromX = (pixel) => range[0] + ((pixel - box.left) / (box.right - box.left)) * (range[1] - range[0]);

      const svg = this.svg;
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      yTicks.forEach((tick, index) => {
        const y = box.bottom - ((tick - low) / (high - low)) * (box.bottom - box.top);
        svg.append(node("line", { class: "gridline", x1: box.left, x2: box.right, y1: y, y2: y }));
        svg.append(node("text", { x: box.left - 6, y: y + 4, "text-anchor": "end", class: "y-tick" }, texts[index]));
      });
      const span = range[1] - range[0];
      const unit = state.axis === "seconds" ? (span >= 7200 ? 3600 : span >= 120 ? 60 : 1) : 1;
      const count = Math.max(3, Math.floor((box.right - box.left) / 85));
      for (const scaled of ticks(range[0] / unit, range[1] / unit, count, state.axis !== "seconds")) {
        const tick = scaled * unit, x = this.toX(tick);
        const text = state.axis === "seconds" ? clock(tick, unit) : short(tick);
        const anchor = x > box.right - 14 ? "end" : "middle";
        svg.append(node("text", { x, y: box.bottom + 15, "text-anchor": anchor, class: "x-tick" }, text));
      }
      svg.append(node("line", { class: "baseline", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
      if (isLarge) svg.append(node("text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, axisNames[state.axis]));
      const clip = node("clipPath", { id: this.clip });
      clip.append(node("rect", { x: box.left, y: box.top - 4, width: Math.max(0, box.right - box.left), height: box.bottom - box.top + 5 }));
      const lines = node("g", { "clip-path": `url(#${this.clip})` });
      if (state.width > 1) lines.append(this.line(this.raw.x, this.raw.y, widened(this.raw.x, within(this.raw.x, range)), "raw"));
      lines.append(this.line(this.x, this.y, around, "curve"));
      if (first === last) lines.append(node("circle", { class: "dot", r: 3, cx: this.toX(this.x[first]), cy: this.toY(this.y[first]) }));
      this.over = node("g", {});
      svg.append(clip, lines, this.over);
      this.describe();
      this.show(null);
    }

    line(x, y, [first, last], kind) {
      let path = "";
      for (let index = first; index <= last; index++) {
        path += `${path ? "L" : "M"}${this.toX(x[index]).toFixed(1)},${this.toY(y[index]).toFixed(1)}`;
      }
      return node("path", { class: kind, d: path });
    }

    describe() {
      const ends = this.range.map((value) => this.written(value)).join(" to ");
      const text = `${this.tag} over ${axisNames[state.axis]}, ${ends}; last value ${short(this.raw.y[this.raw.y.length - 1])}. `;
      this.svg.setAttribute("aria-label", `${text}Arrow keys read values, plus and minus zoom, Escape shows the whole range.`);
      this.svg.dataset.range = this.range.join(" ");
    }

    written(value) {
      if (state.axis !== "seconds") return Math.round(value).toLocaleString("en");
      return clock(value, value >= 7200 ? 3600 : value >= 120 ? 60 : 1);
    }

    show(index) {
      this.point = index;
      this.over.replaceChildren();
      this.output.textContent = index === null ? `last ${short(this.raw.y[this.raw.y.length - 1])}` : `${this.written(this.x[index])}: ${short(this.y[index])}${this.note}`;
      if (index === null) return;
      const x = this.toX(this.x[index]);
      this.over.append(node("line", { class: "cursor", x1: x, x2: x, y1: this.box.top, y2: this.box.bottom }));
      this.over.append(node("circle", { class: "dot", r: 3.5, cx: x, cy: this.toY(this.y[index]) }));
    }

    pixel(event) {
      const x = event.clientX - this.svg.getBoundingClientRect().left;
      return Math.min(this.box.right, Math.max(this.box.left, x));
    }

    press(event) {
      if (event.button !== 0) return;
      this.pressed = this.pixel(event);
      this.svg.setPointerCapture(event.pointerId);
    }

    move(event) {
      const pixel = this.pixel(event);
      if (this.pressed === undefined) {
        const [first, last] = this.inside;
        let best = null;
        for (let index = first; index <= last; index++) {
          if (best === null || Math.abs(this.toX(this.x[index]) - pixel) < Math.abs(this.toX(this.x[best]) - pixel)) best = index;
        }
        this.show(best);
        return;
      }
      const [left, right] = [pixel, this.pressed].sort((a, b) => a - b);
      this.over.replaceChildren(node("rect", { class: "selection", x: left, width: right - left, y: this.box.top, height: this.box.bottom - this.box.top }));
      this.output.textContent = `${this.written(this.fromX(left))} to ${this.written(this.fromX(right))}`;
    }

    release(event) {
      const pressed = this.pressed, pixel = this.pixel(event);
      this.cancel();
      if (pressed !== undefined && Math.abs(pixel - pressed) > 6) {
        const [low, high] = [this.fromX(pressed), this.fromX(pixel)].sort((a, b) => a - b);
        zoomTo(low, high);
      }
    }

    cancel() {
      this.pressed = undefined;
      this.show(null);
    }

    key(event) {
      const [first, last] = this.inside;
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in moves && first <= last) {
        const from = this.point === null ? (moves[event.key] > 0 ? first - 1 : last + 1) : this.point;
        this.output.setAttribute("aria-live", "polite");
        this.show(Math.min(last, Math.max(first, from + moves[event.key])));
      } else if (event.key === "+" || event.key === "=" || event.key === "-") {
        const center = this.point === null ? (this.range[0] + this.range[1]) / 2 : this.x[this.point];
        const half = ((this.range[1] - this.range[0]) / 2) * (event.key === "-" ? 2 : 0.5);
        zoomTo(center - half, center + half);
      } else if (event.key === "Escape") {
        reset();
      } else {
        return;
      }
      event.preventDefault();
    }
  }

  const all = [...document.querySelectorAll(".chart")].map((figure, index) => new Chart(figure, index));
  all.forEach((chart) => chart.draw());
  hint.remove();
  resetButton.addEventListener("click", reset);
  document.getElementById("axis").addEventListener("change", (event) => { state.axis = event.target.value; reset(); });
  document.getElementById("smooth").addEventListener("change", (event) => { state.width = +event.target.value; all.forEach((chart) => chart.draw()); });
  window.addEventListener("beforeprint", () => all.forEach((chart) => chart.draw()));
})();
