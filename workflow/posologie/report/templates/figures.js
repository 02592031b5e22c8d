"use strict";
// The figures are complete without this script, and their marks have titles. It shows a value beside the pointer, dims the
// mixes that lack a component, and highlights the rows whose values lie in a range.
(function () {
  const main = document.getElementById("content");
  const components = JSON.parse(main?.dataset.components ?? "[]");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  const NEAR = 16, filters = [];

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  class Drawing {
    constructor(figure) {
      this.figure = figure;
      this.box = figure.querySelector(".drawing");
      this.svg = figure.querySelector("svg");
      this.marks = [...this.svg.querySelectorAll(".mark")];
      this.component = "";
      this.rows = null; // rows in the selected range; null if there is no range
      for (const mark of this.marks) {
        const title = mark.querySelector(":scope > title");
        mark.said = title.textContent;
        title.remove(); // the browser's own tooltip would cover ours
        const path = mark.querySelector(":scope > path");
        if (path && getComputedStyle(path).fill === "none") {
          const hit = path.cloneNode(false);
          hit.removeAttribute("style");
          hit.setAttribute("class", "hit");
          mark.append(hit); // a line one pixel wide is hard to hit
        }
      }
      this.announced = this.marks.filter((mark, place, all) => mark.dataset.value !== undefined || !all.some((other) => other !== mark && other.said === mark.said && other.dataset.value !== undefined));
    }

    show(mark, x, y) {
      for (const one of this.marks) one.classList.toggle("on", one === mark || (mark.dataset.row !== undefined && one.dataset.row === mark.dataset.row));
      this.svg.classList.add("picking");
      tip.textContent = mark.said;
      tip.hidden = false;
      const { width, height } = tip.getBoundingClientRect();
      tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 4)) + "px";
      tip.style.top = (y + 18 + height < innerHeight ? y + 18 : Math.max(4, y - height - 10)) + "px";
    }

    hide() {
      this.svg.classList.remove("picking");
      tip.hidden = true;
    }

    // The mark under the pointer, or the nearest small one.
    at(event) {
      const met = event.target.closest?.(".mark");
      if (met) return met;
      let found = null, least = NEAR;
      for (const mark of this.marks) {
        const box = mark.getBoundingClientRect();
        if (box.width > 40 && box.height > 12) continue;
        const away = Math.hypot(Math.max(box.left - event.clientX, 0, event.clientX - box.right), Math.max(box.top - event.clientY, 0, event.clientY - box.bottom));
        if (away < least) { least = away; found = mark; }
      }
      return found;
    }

    step(by) {
      const place = this.announced.indexOf(this.current);
      this.current = this.announced[(place + by + this.announced.length) % this.announced.length] ?? this.announced[0];
      this.current.scrollIntoView?.({ block: "nearest", inline: "nearest" });
      const box = this.current.getBoundingClientRect();
      this.show(this.current, box.right, box.top);
    }

    listen() {
      this.svg.addEventListener("pointermove", (event) => {
        if (this.from) return;
        const mark = this.at(event);
        if (mark) this.show(mark, event.clientX, event.clientY); else this.hide();
      });
      this.svg.addEventListener("pointerleave", () => this.hide());
      this.svg.addEventListener("click", (event) => {
        const mark = this.at(event);
        if (mark) this.show(mark, event.clientX, event.clientY);
      });
      this.box.setAttribute("aria-label", this.box.getAttribute("aria-label") + ". Use the left and right arrow keys to step through its values.");
      this.box.addEventListener("keydown", (event) => {
        if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
          event.preventDefault();
          this.step(event.key === "ArrowRight" ? 1 : -1);
        } else if (event.key === "Escape") {
          this.hide();
          this.clear();
        }
      });
      this.box.addEventListener("blur", () => this.hide());
    }

    apply() {
      for (const mark of this.marks) {
        const parts = mark.dataset.parts?.split(" ");
        const lacks = this.component !== "" && parts !== undefined && !parts.includes(this.component);
        mark.classList.toggle("out", lacks || (this.rows !== null && mark.dataset.row !== undefined && !this.rows.has(mark.dataset.row)));
      }
    }

    // One filter applies to all figures, so that they can be read together.
    filterable(bar) {
      const held = new Set(this.marks.flatMap((mark) => mark.dataset.parts?.split(" ") ?? []));
      const known = components.filter(([name]) => held.has(name));
      const several = new Set(this.marks.filter((mark) => mark.dataset.parts).map((mark) => mark.dataset.row)).size;
      if (known.length < 2 || several < 3) return;
      const group = element("span", { className: "kinds" });
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Show mixes with a component");
      bar.append(element("span", { className: "kinds" }, "Mixes with", group));
      const buttons = [["", "any", ""], ...known].map(([name, title, colour]) => {
        const button = element("button", { type: "button" });
        if (colour) button.append(element("span", { className: "key " + colour }));
        button.append(title);
        button.addEventListener("click", () => filters.forEach((set) => set(name)));
        group.append(button);
        return [name, button];
      });
      filters.push((name) => {
        this.component = held.has(name) ? name : "";
        for (const [own, button] of buttons) button.setAttribute("aria-pressed", String(own === this.component));
        this.apply();
        this.name();
      });
    }

    // The closed controls name the active filters.
    name() {
      const title = components.find(([name]) => name === this.component)?.[1];
      const said = [title && "mixes with " + title, this.rows !== null && "a range"].filter(Boolean);
      if (this.summary) this.summary.textContent = said.length ? "Filtered: " + said.join(", ") : "Filter";
    }

    rangeable(bar) {
      this.panels = [...this.svg.querySelectorAll(".panel")].filter((panel) => panel.querySelector(".mark[data-value]"));
      const rows = new Set(this.marks.filter((mark) => mark.dataset.value !== undefined).map((mark) => mark.dataset.row));
      if (!this.panels.length || rows.size < 3) return;
      const [low, high] = ["from", "to"].map((label) => {
        const input = element("input", { type: "number", step: "any" });
        input.setAttribute("aria-label", label);
        input.addEventListener("input", () => this.range(this.panels[0], low.value === "" ? -Infinity : Number(low.value), high.value === "" ? Infinity : Number(high.value)));
        return input;
      });
      this.inputs = [low, high];
      const clear = element("button", { type: "button" }, "Clear");
      clear.addEventListener("click", () => this.clear());
      bar.append(element("span", { className: "range" }, "Values from ", low, " to ", high, clear, " or draw a range with the mouse"));
      this.output = element("output", { className: "picked" });
      this.box.after(this.output);
      this.svg.classList.add("brushable");
      this.svg.addEventListener("pointerdown", (event) => this.begin(event));
      this.svg.addEventListener("pointermove", (event) => this.drag(event));
      this.svg.addEventListener("pointerup", (event) => this.end(event));
      this.svg.addEventListener("pointercancel", () => this.stop());
    }

    point(event) { return new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse()); }

    // A finger scrolls; a mouse or a pen draws the range.
    begin(event) {
      if (event.pointerType === "touch" || event.button !== 0) return;
      const { x, y } = this.point(event);
      const panel = this.panels.find((one) => { const [x0, x1, y0, y1] = one.dataset.place.split(" ").map(Number); return x >= x0 && x <= x1 && y >= y0 && y <= y1; });
      if (!panel) return;
      this.from = x;
      this.panel = panel;
      this.svg.setPointerCapture(event.pointerId);
      this.svg.classList.add("brushing");
    }

    drag(event) {
      if (!this.from) return;
      const [x0, x1, y0, y1, v0, v1] = this.panel.dataset.place.split(" ").map(Number);
      const to = Math.max(x0, Math.min(x1, this.point(event).x));
      if (Math.abs(to - this.from) < 2) return;
      const [left, right] = [Math.min(this.from, to), Math.max(this.from, to)];
      this.rect ??= this.svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
      this.rect.setAttribute("class", "brush");
      for (const [name, value] of Object.entries({ x: left, y: y0, width: right - left, height: y1 - y0 })) this.rect.setAttribute(name, value);
      const value = (x) => Number((v0 + ((x - x0) / (x1 - x0)) * (v1 - v0)).toPrecision(4));
      this.inputs[0].value = this.panel === this.panels[0] ? value(left) : "";
      this.inputs[1].value = this.panel === this.panels[0] ? value(right) : "";
      this.range(this.panel, value(left), value(right), true);
    }

    end() {
      if (!this.from) return;
      this.stop();
    }

    stop() {
      this.from = undefined;
      this.svg.classList.remove("brushing");
    }

    clear() {
      for (const input of this.inputs ?? []) input.value = "";
      if (this.inputs) this.release();
    }

    release() {
      this.rect?.remove();
      this.rect = undefined;
      this.rows = null;
      this.output.textContent = "";
      this.apply();
      this.name();
    }

    range(panel, low, high, drawn = false) {
      if (!drawn) { this.rect?.remove(); this.rect = undefined; }
      if (low === -Infinity && high === Infinity) { this.release(); return; } // a number may be half typed
      const valued = [...panel.querySelectorAll(".mark[data-value]")];
      const inside = valued.filter((mark) => Number(mark.dataset.value) >= low && Number(mark.dataset.value) <= high);
      const all = new Set(valued.map((mark) => mark.dataset.row));
      this.rows = new Set(inside.map((mark) => mark.dataset.row));
      const shown = (value) => String(value).replace("-", "\u2212");
      const bounds = [low === -Infinity ? "" : "from " + shown(low), high === Infinity ? "" : "to " + shown(high)].filter(Boolean).join(" ");
      this.output.textContent = this.rows.size + " of " + all.size + " " + bounds + (this.rows.size ? ": " + [...this.rows].join(", ") : "");
      this.apply();
      this.name();
    }
  }

  for (const figure of document.querySelectorAll("figure[id^='figure-']")) {
    if (!figure.querySelector("svg .mark")) continue;
    const drawing = new Drawing(figure);
    drawing.listen();
    const bar = element("div");
    drawing.summary = element("summary", {}, "Filter");
    drawing.filterable(bar);
    drawing.rangeable(bar);
    if (bar.childNodes.length) figure.append(element("details", { className: "controls" }, drawing.summary, bar));
  }
  filters.forEach((set) => set(""));
})();
