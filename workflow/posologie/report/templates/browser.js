"use strict";
// The item browser. Pages opened from a folder may not fetch files but may load scripts, so each data file is a script
// that calls posologie.index(…) or posologie.page(…). Every text is set as text: what a model said is never markup.
(function () {
  const place = document.getElementById("browser");
  if (!place) return;
  const HITS = 50;
  const LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const language = place.dataset.language;
  const folder = place.dataset.index.replace(/[^/]*$/, "");
  const state = place.querySelector(".state");
  const form = place.querySelector("form");
  const columns = place.querySelector(".columns");
  const hits = place.querySelector(".hits");
  const shown = place.querySelector(".item");
  const open = place.querySelector(".open");
  const pages = new Map(); // number of a data file → its items, or a promise of them; the oldest are let go
  let index = null;
  let found = [];
  let first = 0;
  let wanted = null;
  let shownId = null;
  const inside = place.querySelector("script.data"); // the data of a small study, in the page itself

  window.posologie = {
    index(value) { index = value; },
    page(number, items) { pages.set(number, items); },
  };

  function load(path) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => { script.remove(); resolve(); };
      script.onerror = () => { script.remove(); reject(new Error(path)); };
      document.head.append(script);
    });
  }

  // A text of an item: its direction is that of its own first letter, its language that of its source.
  function own(name, text, item, attributes) {
    return element(name, text, { dir: "auto", lang: (item && index.languages?.[item.source]) || language, ...attributes });
  }

  // The same with a word of the page before it, which has no part in the direction.
  function after(word, made) {
    made.prepend(element("bdi", word), " ");
    return made;
  }

  function element(name, text, attributes) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    return made;
  }

  // As in posologie.report.browser.searched: small letters without accents.
  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

  async function start() {
    if (open.disabled) return;
    open.disabled = true;
    try {
      if (inside) {
        const data = JSON.parse(inside.textContent);
        index = data.index;
        data.pages.forEach((items, number) => pages.set(number, items));
      } else await load(place.dataset.index);
    } catch {
      open.disabled = false;
      state.firstChild.textContent = "The items are not here: keep the folder “items” beside this page. ";
      return;
    }
    index.benchmarks.forEach((name, number) => form.benchmark.append(new Option(name, number)));
    index.models.forEach((name, number) => { form.right.append(new Option(name, number)); form.wrong.append(new Option(name, number)); });
    form.querySelector("[name=mark][value='4']").closest("label").hidden = !index.marks.some((mark) => mark & 4);
    state.hidden = true;
    form.hidden = columns.hidden = false;
    const asked = address();
    form.words.value = asked.get("words") ?? "";
    for (const name of ["benchmark", "right", "wrong"]) {
      const option = [...form[name].options].find((one) => one.text === asked.get(name));
      if (option) form[name].value = option.value;
    }
    for (const box of form.querySelectorAll("[name=mark]")) box.checked = asked.getAll("mark").includes(box.value);
    search();
    if (asked.has("item")) show(index.ids.indexOf(asked.get("item")));
  }

  // The address holds what is searched for and the item that is shown, so that a link leads to both.
  const address = () => new URLSearchParams(/^#(item|words|benchmark|right|wrong|mark)=/.test(location.hash) ? location.hash.slice(1) : "");

  function remember() {
    const kept = new URLSearchParams();
    if (shownId !== null) kept.set("item", shownId);
    if (form.words.value.trim()) kept.set("words", form.words.value.trim());
    for (const name of ["benchmark", "right", "wrong"]) if (form[name].value !== "") kept.set(name, form[name].selectedOptions[0].text);
    for (const box of form.querySelectorAll("[name=mark]:checked")) kept.append("mark", box.value);
    history.replaceState(null, "", "#" + (String(kept) || place.closest("section").id));
  }

  function search() {
    const words = plain(form.words.value).split(/\s+/).filter(Boolean);
    const [benchmark, right, wrong] = [form.benchmark.value, form.right.value, form.wrong.value];
    const marks = [...form.querySelectorAll("[name=mark]:checked")].reduce((sum, box) => sum | Number(box.value), 0);
    found = [];
    for (let row = 0; row < index.ids.length; row += 1) {
      if (benchmark !== "" && index.benchmark[row] !== Number(benchmark)) continue;
      if ((index.marks[row] & marks) !== marks) continue;
      if (right !== "" && index.right[row][right] !== "1") continue;
      if (wrong !== "" && (index.right[row][wrong] !== "0" || index.tasks[index.task[row]] === "oeq")) continue;
      if (!words.every((word) => index.words[row].includes(word) || (word.length > 5 && index.ids[row].startsWith(word)))) continue;
      found.push(row);
    }
    first = 0;
    list();
  }

  function list() {
    const rows = found.slice(first, first + HITS);
    hits.replaceChildren(...rows.map((row) => {
      const button = element("button", undefined, { type: "button" });
      const open = index.tasks[index.task[row]] === "oeq";
      const right = [...index.right[row]].filter((digit) => digit === "1").length;
      button.append(own("span", index.beginnings[row]),
        element("small", index.benchmarks[index.benchmark[row]] +
          (open ? " · open question" : " · " + right + " of " + index.models.length + " right")));
      button.addEventListener("click", () => show(row));
      if (row === wanted) button.setAttribute("aria-current", "true");
      button.dataset.row = row;
      const entry = element("li");
      entry.append(button);
      return entry;
    }));
    hits.scrollTop = 0;
    place.querySelector(".found").textContent = found.length.toLocaleString("en") + " of " +
      index.ids.length.toLocaleString("en") + " items";
    const last = Math.max(1, Math.ceil(found.length / HITS));
    place.querySelector(".place").textContent = "page " + (first / HITS + 1) + " of " + last;
    place.querySelector(".before").disabled = first === 0;
    place.querySelector(".after").disabled = first + HITS >= found.length;
  }

  async function items(number) {
    if (!pages.has(number)) {
      await load(folder + number + ".js");
      if (pages.size > 20) pages.delete(pages.keys().next().value);
    }
    return pages.get(number);
  }

  async function show(row) {
    if (row < 0) { shown.replaceChildren(element("p", "No item has this id.")); return; }
    wanted = row;
    for (const button of hits.querySelectorAll("button")) {
      if (Number(button.dataset.row) === row) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    let page;
    try {
      page = await items(Math.floor(row / index.perFile));
    } catch (error) {
      shown.replaceChildren(element("p", "Missing: " + error.message + ". Keep the folder “items” beside this page."));
      return;
    }
    if (wanted !== row) return; // another item was chosen in the meantime
    draw(page[row % index.perFile]);
    shownId = index.ids[row];
    remember();
    if (shown.getBoundingClientRect().top > hits.getBoundingClientRect().bottom) { // one column: the item is below the list
      shown.focus({ preventScroll: true });
      shown.scrollIntoView({ block: "start", behavior: "instant" });
    }
  }

  const letters = (labels) => (labels === null ? "–" : labels.length ? labels.map((label) => LABELS[label]).join(",") : "none");

  function draw(item) {
    const title = own("h3", item.question, item);
    const facts = element("p", [item.suite + " / " + item.benchmark, item.provenance, item.task, "source " + item.source, "id " + item.id].join(" · "), { class: "small" });
    const parts = [title, facts];
    if (item.context) parts.push(own("p", item.context, item, { class: "context" }));
    if (item.options.length) {
      const options = element("ol", undefined, { class: "options" });
      item.options.forEach((text, number) => options.append(
        after("(" + LABELS[number] + ")", own("li", text, item, item.gold.includes(number) ? { class: "gold" } : {}))));
      parts.push(options, choices(item), wrote(item));
    } else {
      parts.push(after("Reference:", own("p", item.answer, item, { class: "said" })), texts(item));
    }
    const back = element("button", "Back to the list", { type: "button", class: "back" });
    back.addEventListener("click", () => {
      hits.scrollIntoView({ block: "start", behavior: "instant" });
      (hits.querySelector("[aria-current]") ?? form.words).focus({ preventScroll: true });
    });
    shown.replaceChildren(back, ...parts);
  }

  const short = (text) => { // the beginning of what was written, with line breaks to be seen
    const letters = [...text.replace(/\s*\n\s*/g, " ⏎ ")];
    return letters.length > 40 ? letters.slice(0, 40).join("") + "…" : letters.join("");
  };

  function table(headings, rows, caption) {
    const made = element("table");
    made.append(element("caption", caption));
    const head = made.createTHead().insertRow();
    headings.forEach((text) => head.append(element("th", text, { scope: "col" })));
    const body = made.createTBody();
    for (const cells of rows) {
      const line = body.insertRow();
      cells.forEach((cell, number) => line.append(cell instanceof Node ? cell : element(number ? "td" : "th", cell, number ? {} : { scope: "row" })));
    }
    const scroll = element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
    scroll.append(made);
    return scroll;
  }

  // Answers are shown as letters of the item's own order, whatever the order in which the options were displayed.
  function choices(item) {
    const back = (labels, order) => (labels === null ? null : labels.map((label) => order[label]).sort((a, b) => a - b));
    const gold = letters(item.gold);
    const rows = item.said.map((answers, model) => [index.models[model], ...answers.map(([text, greedy, constrained], number) => {
      const order = item.orders[number][1];
      const answer = letters(back(constrained, order));
      const cell = element("td", undefined, { class: answer === gold ? "better" : "worse" });
      const read = letters(back(greedy, order));
      cell.append(answer + (answer === gold ? " ✓" : " ✗"));
      if (greedy === null) cell.append(" (wrote ", element("q", short(text), { lang: language }), ", which names no option)");
      else if (read !== answer) cell.append(" (wrote " + read + ")");
      return cell;
    })]);
    const headings = ["model", ...item.orders.map(([variant, order]) => variant + (variant === "original" ? "" : " (" + order.map((option) => LABELS[option]).join("") + ")"))];
    return table(headings, rows, "Answers under constraint, as letters of the order above; right: " + gold);
  }

  // What each model wrote when nothing held it to the labels, and how probable it found each label at the first step.
  function wrote(item) {
    const rows = item.said.flatMap((answers, model) => answers.map(([text, , , shares], number) => {
      const [variant, order] = item.orders[number];
      const told = shares ? order.map((option, position) => LABELS[option] + " " + shares[position] + " %").sort().join(", ") : "–";
      return [index.models[model], variant, own("td", text, item, { class: "said" }), told];
    }));
    const all = element("details");
    const caption = "What each model wrote, and the labels’ probabilities at the first step";
    all.append(element("summary", caption), table(["model", "options", "text", "probabilities"], rows, caption));
    return all;
  }

  function texts(item) {
    const metrics = [...new Set(item.scores.flatMap((scores) => Object.keys(scores || {})))].sort();
    const rows = item.said.map((answers, model) => [index.models[model],
      own("td", answers[0][0], item, { class: "said" }),
      ...metrics.map((metric) => (item.scores[model]?.[metric] ?? "–").toString())]);
    return table(["model", "answer", ...metrics], rows, "What each model answered");
  }

  open.hidden = false;
  open.addEventListener("click", start);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { search(); remember(); });
  place.querySelector(".before").addEventListener("click", () => { first = Math.max(0, first - HITS); list(); });
  place.querySelector(".after").addEventListener("click", () => { first += HITS; list(); });
  if (inside || [...address().keys()].length) start();
})();
