"use strict";
// The item browser. Pages opened from a folder may not fetch files but may load scripts, so each data file is a script
// that calls posologie.index(…), posologie.words(…) or posologie.page(…). Every text is set as text, never as markup.
(function () {
  const place = document.getElementById("browser");
  if (!place) return;
  const HITS = 50;
  const folder = place.dataset.index.replace(/[^/]*$/, "");
  const [state, form, columns, hits, shown, open] = [".state", "form", ".columns", ".hits", ".item", ".open"]
    .map((selector) => place.querySelector(selector));
  const pages = new Map(); // number of a data file → its items; the oldest are dropped
  const selected = new Set(); // rows
  let [index, words, found, first, wanted, shownRow] = [null, null, [], 0, null, null];
  const inside = place.querySelector("script.data"); // the data of a small study, in the page itself
  const { element, own } = posologieItem;

  Object.assign(window.posologie ??= {}, {
    index(value) { index = value; },
    words(value) { words = value; },
    page(number, items) { pages.set(number, items); },
  });

  function load(path) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => { script.remove(); resolve(); };
      script.onerror = () => { script.remove(); reject(new Error(path)); };
      document.head.append(script);
    });
  }

  // As in posologie.report.browser.searched: lower case without accents.
  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

  async function start() {
    if (open.disabled) return;
    open.disabled = true;
    try {
      if (inside) {
        const data = JSON.parse(inside.textContent);
        [index, words] = [data.index, data.words];
        data.pages.forEach((items, number) => pages.set(number, items));
      } else await load(place.dataset.index);
    } catch {
      open.disabled = false;
      open.hidden = false;
      state.firstChild.textContent = "The items could not be loaded. Keep the folder “items” next to this page. ";
      return;
    }
    const known = new Set();
    index.repeated = new Set();
    for (const id of index.ids) { if (known.has(id)) index.repeated.add(id); known.add(id); }
    index.benchmarks.forEach((name, number) => form.benchmark.append(new Option(name, number)));
    index.models.forEach((name, number) => { form.right.append(new Option(name, number)); form.wrong.append(new Option(name, number)); });
    for (const mark of [4, 8]) form.querySelector(`[name=mark][value='${mark}']`).closest("label").hidden = !index.marks.some((one) => one & mark);
    for (const name of ["disagreement", "flips"]) form.sort.querySelector(`[value=${name}]`).hidden = !index[name].some(Boolean);
    state.hidden = true;
    form.hidden = columns.hidden = false;
    form.querySelector("details").open = matchMedia("(min-width: 62rem)").matches;
    await follow();
    if (!words) (window.requestIdleCallback ?? setTimeout)(() => load(folder + "words.js").catch(() => {}));
  }

  // The address holds the search and the item that is shown, so that a link restores both.
  const NAMES = ["item", "items", "of", "words", "benchmark", "right", "wrong", "mark", "sort"];
  const address = () => new URLSearchParams(new RegExp("^#(" + NAMES.join("|") + ")=").test(location.hash) ? location.hash.slice(1) : "");

  // Show what the address asks for; without an item, the first of the list.
  async function follow() {
    const asked = address();
    form.words.value = asked.get("words") ?? "";
    form.sort.value = ["difficulty", "flips", "study"].find((name) => name === asked.get("sort")) ?? "disagreement";
    for (const name of ["benchmark", "right", "wrong"]) {
      form[name].value = [...form[name].options].find((one) => one.text === asked.get(name))?.value ?? "";
    }
    for (const box of form.querySelectorAll("[name=mark]")) box.checked = asked.getAll("mark").includes(box.value);
    if (asked.has("items")) {
      const ids = new Set(asked.get("items").split(","));
      selected.clear();
      index.ids.forEach((id, row) => { if (ids.has(id)) selected.add(row); });
    }
    form.selected.checked = asked.has("items");
    await search();
    let row = found[0];
    if (asked.has("item")) {
      row = index.ids.findIndex((id, one) => id === asked.get("item") &&
        (!asked.has("of") || index.benchmarks[index.benchmark[one]] === asked.get("of")));
      const at = found.indexOf(row);
      if (at >= HITS) { first = at - at % HITS; list(); }
    }
    if (row !== undefined) await show(row, asked.has("item") ? "linked" : "quiet");
  }

  // The address of an item. It names the benchmark if several benchmarks contain the item.
  function link(row) {
    const id = index.ids[row];
    return new URLSearchParams(index.repeated.has(id) ? { item: id, of: index.benchmarks[index.benchmark[row]] } : { item: id });
  }

  function remember() {
    const kept = shownRow === null ? new URLSearchParams() : link(shownRow);
    if (form.words.value.trim()) kept.set("words", form.words.value.trim());
    for (const name of ["benchmark", "right", "wrong"]) if (form[name].value !== "") kept.set(name, form[name].selectedOptions[0].text);
    for (const box of form.querySelectorAll("[name=mark]:checked")) kept.append("mark", box.value);
    if (form.sort.value !== "disagreement") kept.set("sort", form.sort.value);
    history.replaceState(null, "", "#" + (String(kept) || place.closest("section").id));
  }

  async function search() {
    const asked = plain(form.words.value).split(/\s+/).filter(Boolean);
    if (asked.length && !words) {
      place.setAttribute("aria-busy", "true");
      try { await load(folder + "words.js"); } catch { words = index.ids.map(() => ""); }
      place.removeAttribute("aria-busy");
    }
    const [benchmark, right, wrong] = [form.benchmark.value, form.right.value, form.wrong.value];
    const marks = [...form.querySelectorAll("[name=mark]:checked")].reduce((sum, box) => sum | Number(box.value), 0);
    found = [];
    for (let row = 0; row < index.ids.length; row += 1) {
      if (form.selected.checked && !selected.has(row)) continue;
      if (benchmark !== "" && index.benchmark[row] !== Number(benchmark)) continue;
      if ((index.marks[row] & marks) !== marks) continue;
      if (right !== "" && index.right[row][right] !== "1") continue;
      if (wrong !== "" && (index.right[row][wrong] !== "0" || index.tasks[index.task[row]] === "oeq")) continue;
      if (!asked.every((word) => words[row].includes(word) || (word.length > 5 && index.ids[row].startsWith(word)))) continue;
      found.push(row);
    }
    const key = form.sort.value;
    if (key !== "study") found.sort((a, b) => index[key][b] - index[key][a] || index.spread[b] - index.spread[a] || a - b);
    first = 0;
    list();
  }

  // How many models answer the item correctly, for its entry in the list.
  const counts = (row) => index.tasks[index.task[row]] === "oeq" ? "open question"
    : [...index.right[row]].filter((digit) => digit === "1").length + " of " + index.models.length + " right";

  function list() {
    hits.replaceChildren(...found.slice(first, first + HITS).map((row) => {
      const [entry, box] = [element("li"), element("input", undefined, { type: "checkbox" })];
      box.checked = selected.has(row);
      box.setAttribute("aria-label", "Select: " + index.beginnings[row]);
      box.addEventListener("change", () => select(row, box.checked));
      const made = element("a", undefined, { href: "#" + link(row) });
      const key = form.sort.value;
      const sorted = key === "flips" || (key !== "study" && index.tasks[index.task[row]] === "oeq") ? " · " + key + " " + Math.round(index[key][row]) : "";
      made.append(own("span", index.beginnings[row], null, index), element("small", index.benchmarks[index.benchmark[row]] + " · " + counts(row) + sorted));
      made.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window is the browser's own
        event.preventDefault();
        show(row);
      });
      if (row === wanted) made.setAttribute("aria-current", "true");
      entry.dataset.row = row;
      entry.append(box, made);
      return entry;
    }));
    hits.scrollTop = 0;
    place.querySelector(".found").textContent = found.length.toLocaleString("en") + " of " + index.ids.length.toLocaleString("en") + " items";
    const last = Math.max(1, Math.ceil(found.length / HITS));
    place.querySelector(".place").textContent = "page " + (first / HITS + 1) + " of " + last;
    place.querySelector(".before").disabled = first === 0;
    place.querySelector(".after").disabled = first + HITS >= found.length;
    counted();
  }

  function counted() {
    place.querySelector(".chosen").textContent = selected.size === 0 ? "Nothing selected" : selected.size.toLocaleString("en") + " selected";
    for (const name of ["none", "csv", "json", "cite"]) place.querySelector(".selection ." + name).disabled = selected.size === 0;
    place.querySelector(".selection .all").disabled = found.length === 0;
  }

  function select(row, on) {
    if (on) selected.add(row); else selected.delete(row);
    for (const box of place.querySelectorAll(`.hits li[data-row='${row}'] input`)) box.checked = on;
    if (row === shownRow) { const box = shown.querySelector(".toolbar input"); if (box) box.checked = on; }
    counted();
  }

  async function items(number) {
    if (!pages.has(number)) {
      await load(folder + number + ".js");
      if (pages.size > 20 && !inside) pages.delete(pages.keys().next().value);
    }
    return pages.get(number);
  }

  // Scroll only the list: `scrollIntoView` would also move the page, away from the answer where a reader starts.
  function keepInSight(entry) {
    const top = entry.offsetTop, bottom = top + entry.offsetHeight;
    if (top < hits.scrollTop) hits.scrollTop = top;
    else if (bottom > hits.scrollTop + hits.clientHeight) hits.scrollTop = bottom - hits.clientHeight;
  }

  // `how`: undefined if a person chose the item; "quiet" and "linked" leave the address as it is.
  async function show(row, how) {
    if (row < 0) { shown.replaceChildren(element("p", "This study has no item with the id in the address.")); return; }
    wanted = row;
    for (const entry of hits.children) {
      const made = entry.querySelector("a");
      if (Number(entry.dataset.row) === row) { made.setAttribute("aria-current", "true"); keepInSight(entry); }
      else made.removeAttribute("aria-current");
    }
    if (how === "quiet") hits.scrollTop = 0;
    let item;
    try {
      item = (await items(Math.floor(row / index.perFile)))[row % index.perFile];
    } catch (error) {
      shown.replaceChildren(element("p", "Could not load " + error.message + ". Keep the folder “items” next to this page."));
      return;
    }
    if (wanted !== row) return; // another item was chosen in the meantime
    shown.replaceChildren(toolbar(row), ...posologieItem.draw(item, index, row));
    shownRow = row;
    shown.dataset.item = index.ids[row];
    if (how === undefined) remember();
    if (how === "linked") place.scrollIntoView({ block: "start", behavior: "instant" });
    if (how !== "quiet" && shown.getBoundingClientRect().top > hits.getBoundingClientRect().bottom) { // in one column, the item is below the list
      shown.focus({ preventScroll: true });
      shown.scrollIntoView({ block: "start", behavior: "instant" });
    }
  }

  function toolbar(row) {
    const bar = element("div", undefined, { class: "toolbar" });
    const button = (text, act, disabled) => {
      const made = element("button", text, { type: "button" });
      made.disabled = Boolean(disabled);
      made.addEventListener("click", () => act(made));
      bar.append(made);
      return made;
    };
    const at = found.indexOf(row);
    button("Back to the list", () => {
      place.querySelector(".found").scrollIntoView({ block: "start", behavior: "instant" });
      (hits.querySelector("[aria-current]") ?? form.words).focus({ preventScroll: true });
    }).className = "back";
    button("← Previous", () => step(-1, ".previous"), at <= 0).classList.add("previous");
    button("Next →", () => step(1, ".following"), at < 0 || at === found.length - 1).classList.add("following");
    bar.append(element("span", at < 0 ? "" : (at + 1).toLocaleString("en") + " of " + found.length.toLocaleString("en"), { class: "small" }));
    const box = element("input", undefined, { type: "checkbox" });
    box.checked = selected.has(row);
    box.addEventListener("change", () => select(row, box.checked));
    const tick = element("label", undefined, { class: "tick" });
    tick.append(box, "Select");
    bar.append(tick);
    button("Copy link", (made) => posologie.copy(location.href.split("#")[0] + "#" + link(row), made));
    return bar;
  }

  async function step(by, focused) {
    const at = Math.max(0, Math.min(found.length - 1, found.indexOf(wanted) + by));
    if (!found.length) return;
    if (at < first || at >= first + HITS) { first = at - at % HITS; list(); }
    await show(found[at]);
    if (focused) (shown.querySelector(focused + ":enabled") ?? shown).focus({ preventScroll: true });
  }

  async function whole(rows) { // Load the items of some rows; each file is loaded once.
    const made = [];
    for (const row of [...rows].sort((a, b) => a - b)) made.push([row, (await items(Math.floor(row / index.perFile)))[row % index.perFile]]);
    return made;
  }

  place.addEventListener("keydown", (event) => {
    if (!index || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(text|search|select-one)$/.test(event.target.type ?? "");
    if (event.key === "Escape" && event.target === form.words) { hits.querySelector("a")?.focus(); event.preventDefault(); return; }
    if (typing) return;
    const acts = {
      j: () => step(1), k: () => step(-1), "/": () => { form.words.focus(); form.words.select(); },
      x: () => { if (shownRow !== null) select(shownRow, !selected.has(shownRow)); },
    };
    if (hits.contains(event.target)) Object.assign(acts, { ArrowDown: () => along(1), ArrowUp: () => along(-1) });
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });

  async function along(by) { // The arrow keys also move the focus in the list.
    await step(by);
    hits.querySelector("[aria-current]")?.focus();
  }

  open.hidden = false;
  open.addEventListener("click", start);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", async () => { await search(); remember(); });
  place.querySelector(".before").addEventListener("click", () => { first = Math.max(0, first - HITS); list(); });
  place.querySelector(".after").addEventListener("click", () => { first += HITS; list(); });
  place.querySelector(".all").addEventListener("click", () => { for (const row of found) selected.add(row); list(); });
  place.querySelector(".none").addEventListener("click", () => { selected.clear(); list(); });
  posologieSelection(place, () => index, () => whole(selected));
  window.addEventListener("hashchange", () => { if ([...address().keys()].length) { if (index) follow(); else start(); } });
  if (inside || [...address().keys()].length) start();
  else new IntersectionObserver((seen, watch) => {
    if (seen.some((one) => one.isIntersecting)) { watch.disconnect(); start(); }
  }, { rootMargin: "200px" }).observe(place);
})();
