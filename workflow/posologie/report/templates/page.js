"use strict";
// The page is complete without this script, which adds the theme button, and sorting, filtering and copying of tables.
(function () {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const theme = document.querySelector(".theme");
  function show(name) {
    if (name === "system") delete root.dataset.theme; else root.dataset.theme = name;
    theme.innerHTML = "<span>Colours: </span>";
    theme.append(name);
  }
  let chosen = "system";
  try { chosen = localStorage.getItem("posologie-theme") || "system"; } catch { /* a page opened from a file may have no storage */ }
  theme.hidden = false;
  show(chosen);
  theme.addEventListener("click", () => {
    chosen = themes[(themes.indexOf(chosen) + 1) % themes.length];
    show(chosen);
    try { localStorage.setItem("posologie-theme", chosen); } catch { /* the choice then lasts as long as the page is open */ }
  });

  // These details are open on a wide screen and closed on a phone. In print everything is open.
  const wide = window.matchMedia("(min-width: 62.01rem)");
  const folded = [...document.querySelectorAll("details.wide, details.unfold")];
  function unfold() { for (const one of folded) { one.open = wide.matches; one.classList.toggle("forced", wide.matches); } }
  wide.addEventListener("change", unfold);
  unfold();
  let opened = [];
  window.addEventListener("beforeprint", () => { opened = [...document.querySelectorAll("details:not([open])")]; opened.forEach((one) => { one.open = true; }); });
  window.addEventListener("afterprint", () => { opened.forEach((one) => { one.open = false; }); });

  // Open the table that the address names, or that contains what it names.
  function reveal() {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { /* the address is not that of a table */ }
    const closed = target?.closest("details.table");
    if (closed && !closed.open) { closed.open = true; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  reveal();

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function cellText(cell) { return cell.textContent.replace(/\s+/g, " ").trim(); }

  // Rows without a value come last in both directions.
  function compare(a, b, direction) {
    const [x, y] = [a.dataset.sort, b.dataset.sort];
    if (x !== undefined || y !== undefined) {
      const [p, q] = [x === undefined || x === "" ? NaN : Number(x), y === undefined || y === "" ? NaN : Number(y)];
      if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) - Number.isNaN(q);
      return direction * (p - q);
    }
    return direction * collator.compare(cellText(a), cellText(b));
  }

  function sortable(table) {
    const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending" ||
          (!heading.hasAttribute("aria-sort") && heading.classList.contains("number"));
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows];
        rows.sort((a, b) => compare(a.cells[column], b.cells[column], descending ? -1 : 1));
        body.append(...rows);
      });
    });
  }

  function filterable(table, input, count) {
    const rows = [...table.tBodies[0].rows];
    function apply() {
      const words = input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = cellText(row).toLocaleLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      count.textContent = shown === rows.length ? rows.length + " rows" : shown + " of " + rows.length + " rows";
    }
    input.addEventListener("input", apply);
    apply();
  }

  function visible(table) {
    const rows = [...table.tHead.rows, ...table.tBodies[0].rows].filter((row) => !row.hidden);
    return rows.map((row) => [...row.cells].map((cell) => cell.dataset.copy ?? cellText(cell)));
  }

  function asCsv(rows) {
    // As in posologie.records.files: a spreadsheet must not evaluate text as a formula.
    const formula = /^'*[=+\-@\t\r\n＝＋－＠]/, number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
    const plain = (text) => (formula.test(text) && !number.test(text) ? "'" + text : text);
    const quoted = (text) => (/[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
    return rows.map((row) => row.map(plain).map(quoted).join(",")).join("\n") + "\n";
  }

  function asLatex(rows, columns) {
    const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$" };
    const escaped = (text) => text.replace(/[\\&%$#_{}~^−]/g, (sign) => special[sign] ?? "\\" + sign);
    const lines = rows.map((row) => row.map(escaped).join(" & ") + " \\\\");
    return ["\\begin{tabular}{" + columns + "}", "\\toprule", lines[0], "\\midrule", ...lines.slice(1), "\\bottomrule",
      "\\end{tabular}", ""].join("\n");
  }

  // A page opened from a file may have no clipboard. Then a dialog shows the selected text, to be copied by hand.
  async function copy(text, button) {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      button.focus();
      if (!done) { window.prompt("Copy this text:", text); return; }
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  window.posologie = { asCsv, copy }; // the item browser uses them too

  // A page that was sent alone has no files beside it. Replace the links to them by text.
  const drawing = document.querySelector("figcaption a[href^='../']");
  if (drawing) {
    const probe = new Image();
    probe.addEventListener("error", () => {
      for (const link of document.querySelectorAll("a[href^='../']")) {
        const text = document.createElement("span");
        text.textContent = link.textContent;
        text.title = link.getAttribute("href").slice(3) + " in the study’s folder";
        link.replaceWith(text);
      }
    });
    probe.src = drawing.href;
  }

  // Say so if the contents of a box continue to the right.
  for (const box of document.querySelectorAll(".scroll, .drawing")) {
    const sign = document.createElement("p");
    sign.className = "small more";
    sign.textContent = "Scroll right for more →";
    sign.hidden = true;
    box.after(sign);
    const look = () => { sign.hidden = box.scrollLeft + box.clientWidth >= box.scrollWidth - 2; box.classList.toggle("cut", !sign.hidden); };
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }

  for (const table of document.querySelectorAll("table.data")) {
    const tools = table.closest(".table").querySelector(".tools");
    sortable(table);
    tools.hidden = false;
    const input = tools.querySelector("input");
    if (input) filterable(table, input, tools.querySelector("output"));
    const [csv, latex] = tools.querySelectorAll("button");
    csv.addEventListener("click", () => copy(asCsv(visible(table)), csv));
    latex.addEventListener("click", () => {
      const columns = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
      copy(asLatex(visible(table), columns.map((cell) => (cell.classList.contains("number") ? "r" : "l")).join("")), latex);
    });
  }
})();
