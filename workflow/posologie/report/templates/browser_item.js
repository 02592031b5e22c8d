"use strict";
// One item of the browser as elements of the page. Every text is set as text, never as markup.
const posologieItem = (function () {
  const LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const QUESTION = "\ue000", CONTEXT = "\ue001", FIRST_OPTION = 0xe010; // as in posologie.report.sent
  const KINDS = { exact: "the same text", near: "nearly the same text", options: "the same options and answer", containment: "quotes the question",
    lineage: "made from the same item", cross_lingual: "the same item in another language", embedding: "the same meaning", case: "the same case", group: "in a group with a leaking item" };
  const language = document.getElementById("browser")?.dataset.language;

  function element(name, text, attributes) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    return made;
  }

  // A text from an item. Its first letter sets the direction, and its source the language.
  function own(name, text, item, index, attributes) {
    return element(name, text, { dir: "auto", lang: (item && index.languages?.[item.source]) || language, ...attributes });
  }

  // Put a word of the page before an item's text; it does not influence the text's direction.
  function after(word, made) {
    made.prepend(element("bdi", word), " ");
    return made;
  }

  const letters = (labels) => (labels === null ? "–" : labels.length ? labels.map((label) => LABELS[label]).join(",") : "none");
  // Displayed labels as options of the item's own order.
  const back = (labels, order) => (labels === null ? null : labels.map((label) => order[label]).sort((a, b) => a - b));

  // A table in a box that scrolls sideways. The caption stands above the box, so that it is never cut off.
  function table(headings, rows, caption, said = caption) {
    const made = element("table");
    const head = made.createTHead().insertRow();
    headings.forEach((text) => head.append(text instanceof Node ? text : element("th", text, { scope: "col" })));
    const body = made.createTBody();
    for (const cells of rows) {
      const line = body.insertRow();
      cells.forEach((cell, number) => line.append(cell instanceof Node ? cell : element(number ? "td" : "th", cell, number ? {} : { scope: "row" })));
    }
    const scroll = element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
    scroll.append(made);
    if (!said) return scroll;
    const whole = element("div", undefined, { class: "captioned" });
    whole.append(element("p", said, { class: "caption" }), scroll);
    return whole;
  }

  function folded(summary, ...contents) {
    const made = element("details");
    made.append(element("summary", summary), ...contents);
    return made;
  }

  function optionList(entry, item, index) {
    const list = element("ol", undefined, { class: "options" });
    entry.options.forEach((text, number) => list.append(
      after("(" + LABELS[number] + ")", own("li", text, item, index, entry.gold.includes(number) ? { class: "gold" } : {}))));
    return list;
  }

  // Summarise an item: how far the models agree, and whether an answer depends on the option order.
  function inShort(item, index, row) {
    const said = [];
    const of = index.models.length;
    if (item.options.length) {
      const right = [...index.right[row]].filter((digit) => digit === "1").length;
      said.push(right + " of " + of + (of === 1 ? " model is right" : " models are right"));
      const flips = Math.round(index.flips[row] * of / 100);
      if (item.orders.length > 1) said.push(flips ? flips + (flips === 1 ? " changes its answer" : " change their answers") + " with the order of the options" : "no answer depends on the order of the options");
    }
    if (item.differs) said.push("a judge disagrees with the human raters");
    const held = item.near.filter((one) => Object.keys(one.mixes).length).length;
    if (held) said.push("training mixes contain " + (held === 1 ? "a matching item" : held + " matching items"));
    const text = said.join("; ");
    return text ? [element("p", text[0].toUpperCase() + text.slice(1) + ".", { class: "short-of-it" })] : [];
  }

  function draw(item, index, row) {
    const facts = [item.suite + " / " + item.benchmark, item.provenance, item.task, "source " + item.source, "id " + item.id];
    const parts = [own("h3", item.question, item, index), element("p", facts.join(" · "), { class: "small" })];
    if (item.context) parts.push(own("p", item.context, item, index, { class: "context" }));
    if (item.options.length) parts.push(optionList(item, item, index), ...inShort(item, index, row), choices(item, index), wrote(item, index));
    else parts.push(after("Reference:", own("p", item.answer, item, index, { class: "said" })), ...inShort(item, index, row), opinions(item, index));
    return [...parts, ...prompts(item, index), ...near(item, index)];
  }

  // Answers are letters of the item's own order, whatever order the options were displayed in. A bar shows the probability
  // that the model gave an option at the first token of its answer, in the item's own order.
  function choices(item, index) {
    const gold = letters(item.gold);
    const heading = (variant, order) => variant + (variant === "original" ? "" : " (" + order.map((option) => LABELS[option]).join("") + ")");
    const answer = ([text, greedy, constrained], number) => {
      const order = item.orders[number][1];
      const chosen = letters(back(constrained, order));
      const cell = element("td", undefined, { class: "choice" });
      cell.append(element("span", chosen + (chosen === gold ? " ✓" : " ✗"), { class: chosen === gold ? "better" : "worse" }));
      const read = letters(back(greedy, order));
      const note = element("small");
      if (greedy === null) note.append("wrote ", element("q", short(text), { lang: language }), " (no option recognised)");
      else if (read !== chosen) note.append("wrote " + read);
      if (note.firstChild) cell.append(" ", note);
      return cell;
    };
    const probable = ([, , , shares], option) => {
      const cell = element("td", undefined, { class: "share" });
      if (!shares) { cell.textContent = "–"; return cell; }
      const bar = element("span", shares[item.orders[0][1].indexOf(option)] + " %");
      bar.style.setProperty("--share", shares[item.orders[0][1].indexOf(option)] + "%");
      cell.append(bar);
      return cell;
    };
    const hasShares = item.said.some((answers) => answers[0][3]);
    const options = hasShares ? item.options.map((_, option) => option) : [];
    const rows = item.said.map((answers, model) => [index.models[model], answer(answers[0], 0),
      ...options.map((option) => probable(answers[0], option)), ...answers.slice(1).map((one, number) => answer(one, number + 1))]);
    const [first, ...others] = item.orders.map(([variant, order]) => heading(variant, order));
    const heads = options.map((option) => element("th", LABELS[option] + (item.gold.includes(option) ? " ✓" : ""), { scope: "col" }));
    return table(["model", first, ...heads, ...others], rows, "Constrained answers, as letters of the options above" +
      (hasShares ? ", and the probability of each option in the item’s own order" : "") + "; right: " + gold);
  }

  const short = (text) => { // The beginning of a text, with visible line breaks.
    const signs = [...text.replace(/\s*\n\s*/g, " ⏎ ")];
    return signs.length > 40 ? signs.slice(0, 40).join("") + "…" : signs.join("");
  };

  // The probability that a model gave each label, by letters of the item's own order.
  const probabilities = (shares, order) => (shares ? order.map((option, position) => LABELS[option] + " " + shares[position] + " %").sort().join(", ") : "–");

  // What each model wrote without constraints, and its label probabilities at the first token.
  function wrote(item, index) {
    const rows = item.said.flatMap((answers, model) => answers.map(([text, , , shares], number) => {
      const [variant, order] = item.orders[number];
      return [index.models[model], variant, own("td", text.trim() ? text : short(text) || "(nothing)", item, index, { class: "said" }), probabilities(shares, order)];
    }));
    const caption = "What each model wrote without constraints, and its label probabilities at the first token, in every option order";
    return folded(caption, table(["model", "option order", "text", "probabilities"], rows, caption, ""));
  }

  // Open answers: judges and people side by side, then the text metrics.
  function opinions(item, index) {
    const names = [...new Set(item.scores.flatMap((scores) => Object.keys(scores || {})))];
    const judges = names.filter((name) => name.startsWith("judge ")).sort();
    const people = names.includes("people") ? ["people"] : [];
    const metrics = names.filter((name) => !judges.includes(name) && name !== "people").sort();
    const rows = item.said.map((answers, model) => {
      const scores = item.scores[model] || {};
      const differs = item.differing?.[model];
      const verdict = (name) => {
        const value = scores[name];
        const cell = element("td", value === undefined ? "–" : name === "people" ? value.toString() : value >= 0.5 ? "right" : "wrong");
        if (differs && value !== undefined) cell.className = "differs";
        return cell;
      };
      return [index.models[model], own("td", answers[0][0], item, index, { class: "said" }), ...[...judges, ...people].map(verdict),
        ...metrics.map((metric) => (scores[metric] ?? "–").toString())];
    });
    const caption = "What each model answered" + (judges.length && people.length ? ", with judges and human raters side by side" : "");
    return table(["model", "answer", ...judges, ...(people.length ? ["people, mean rating"] : []), ...metrics], rows, caption);
  }

  // A prompt of an item as text: its frame with the item's parts in it, or the text that was kept.
  function turnsOf(item, index, form, variant) {
    const kept = item.prompts[form][variant];
    if (typeof kept !== "number") return { turns: kept[0], now: kept[1], shortened: kept[2] };
    const order = item.orders[variant][1];
    const part = (mark) => (mark === QUESTION ? item.question : mark === CONTEXT ? item.context : item.options[order[mark.charCodeAt(0) - FIRST_OPTION]] ?? mark);
    return { turns: index.frames[kept].map(([role, text]) => [role, text.replace(/[\ue000\ue001\ue010-\ue029]/g, part)]) };
  }

  function prompts(item, index) {
    return (item.prompts ?? []).map((variants, form) => {
      const models = index.forms[form].map((model) => index.models[model]);
      const names = models.length === index.models.length ? "every model" : models.length > 4 ? models.slice(0, 3).join(", ") + " and " + (models.length - 3) + " more" : models.join(", ");
      const text = element("div", undefined, { class: "sent" });
      const choose = element("select", undefined, { "aria-label": "Order of the options" });
      item.orders.forEach(([variant], number) => choose.append(new Option(variant, number)));
      const fill = () => {
        const { turns, now, shortened } = turnsOf(item, index, form, Number(choose.value || 0));
        text.replaceChildren(...turns.flatMap(([role, content]) => [...(role ? [element("p", role, { class: "small role" })] : []),
          own("pre", content, item, index, { tabindex: "0", "aria-label": role ? "Prompt, " + role + " turn" : "Prompt" })]));
        if (shortened) text.append(element("p", "The context was truncated so that the prompt fits the model’s context window.", { class: "small" }));
        if (now) text.append(element("p", "Rendered again, the prompt has " + now + " tokens; a different number was recorded when it was sent.", { class: "small" }));
      };
      choose.addEventListener("input", (event) => { event.stopPropagation(); fill(); });
      const made = folded("The prompt as sent to " + names, ...(item.orders.length > 1 ? [choose] : []), text);
      made.addEventListener("toggle", () => { if (made.open && !text.firstChild) fill(); });
      return made;
    });
  }

  function near(item, index) {
    if (!index.audited) return [];
    if (!item.near.length) return [element("p", "Neither screening nor the audits of the mixes found a training item that matches this one.", { class: "small" })];
    const list = element("ul", undefined, { class: "near" });
    for (const one of item.near) {
      const mixes = Object.entries(one.mixes).map(([mix, seeds]) => mix + (index.seeds > 1 ? " (seed " + seeds.join(", ") + ")" : ""));
      const facts = [KINDS[one.kind] ?? one.kind, ...(one.similarity === null ? [] : ["similarity " + one.similarity.toFixed(2)]),
        ...(one.same_answer === null ? [] : [one.same_answer ? "the same answer" : "a different answer"])];
      const entry = element("li");
      entry.append(element("strong", mixes.length ? (mixes.length === 1 ? "In training mix " : "In training mixes ") + mixes.join(", ") : "Left out of every mix by screening"),
        element("p", facts.join(" · ") + " · source " + one.source + " (" + one.split + ") · id " + one.id, { class: "small" }),
        own("p", one.text.question, one, index, { class: "said" }));
      if (one.text.context) entry.append(folded("Context", own("p", one.text.context, one, index, { class: "context" })));
      entry.append(one.text.options.length ? optionList(one.text, one, index) : after("Reference:", own("p", one.text.answer, one, index, { class: "said" })));
      list.append(entry);
    }
    if (item.nearMore) list.append(element("li", "and " + item.nearMore + " more that are not shown", { class: "small" }));
    const held = item.near.filter((one) => Object.keys(one.mixes).length).length;
    return [folded("Matching training items: " + (item.near.length + item.nearMore) + (held ? "" : ", none of them in a mix"), list)];
  }

  return { LABELS, back, draw, element, letters, own, probabilities, turnsOf };
})();
