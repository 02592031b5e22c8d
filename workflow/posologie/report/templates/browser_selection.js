"use strict";
// Save the selected items as files or cite them. Files are made in the page; nothing is sent anywhere.
function posologieSelection(place, indexOf, selectedItems) {
  const { LABELS, back, letters, probabilities, turnsOf } = posologieItem;
  const state = place.querySelector(".chosen");

  // A citation names the study, the version of its items and the ids, so that a reader can check it.
  function citation(rows) {
    const index = indexOf();
    const ids = [...new Set(rows.map(([row]) => index.ids[row]))];
    const study = index.study || place.dataset.title;
    const title = place.dataset.title && place.dataset.title !== study ? `“${place.dataset.title}” (study ${study}` : `“${study}” (`;
    const page = /^https?:$/.test(location.protocol) ? location.href.split("#")[0] : "report/index.html";
    return `${ids.length === 1 ? "Item" : "Items"} ${ids.join(", ")} of ${title}${title.endsWith("(") ? "" : ", "}items ${index.identity}), ` +
      `posologie ${place.dataset.version}. ${page}#items=${ids.join(",")}`;
  }

  const answersOf = (item) => item.said.flatMap((answers, model) => answers.map(([text, greedy, constrained, shares], number) => {
    const [variant, order] = item.orders[number];
    const named = indexOf().models[model];
    if (!item.options.length) return { model: named, order: variant, text, scores: item.scores[model] ?? {} };
    const chosen = letters(back(constrained, order));
    return { model: named, order: variant, options: order.map((option) => LABELS[option]).join(""), answer: chosen, right: chosen === letters(item.gold),
      read: letters(back(greedy, order)), text,
      probabilities: shares ? Object.fromEntries(order.map((option, position) => [LABELS[option], shares[position] / 100])) : null };
  }));

  function asJson(rows) {
    const index = indexOf();
    const forms = index.forms.map((models) => models.map((model) => index.models[model]));
    return JSON.stringify({
      citation: citation(rows), study: index.study, identity: index.identity, posologie: place.dataset.version, models: index.models,
      items: rows.map(([, item]) => ({
        id: item.id, suite: item.suite, benchmark: item.benchmark, source: item.source, component: item.provenance, task: item.task, group: item.group,
        question: item.question, context: item.context, options: item.options, gold: item.gold.map((option) => LABELS[option]), reference: item.answer,
        answers: answersOf(item), near: item.near, near_not_shown: item.nearMore,
        prompts: (item.prompts ?? []).map((variants, form) => ({ models: forms[form],
          orders: Object.fromEntries(variants.map((_, number) => [item.orders[number][0], turnsOf(item, index, form, number).turns.map(([role, content]) => (role ? { role, content } : { content }))])) })),
      })),
    }, null, 1) + "\n";
  }

  // One line for each item, model and order. Cells that a spreadsheet would compute become text (see posologie.asCsv).
  function asCsv(rows) {
    const index = indexOf();
    const metrics = [...new Set(rows.flatMap(([, item]) => (item.scores ?? []).flatMap((scores) => Object.keys(scores ?? {}))))].sort();
    const heads = ["study", "identity", "item", "suite", "benchmark", "source", "component", "task", "question", "context", "options", "gold", "reference",
      "model", "order", "answer", "right", "read", "text", "probabilities", ...metrics];
    const lines = rows.flatMap(([, item]) => answersOf(item).map((one, number) => [
      index.study, index.identity, item.id, item.suite, item.benchmark, item.source, item.provenance, item.task, item.question, item.context,
      item.options.map((text, option) => "(" + LABELS[option] + ") " + text).join("\n"), item.options.length ? letters(item.gold) : "", item.answer,
      one.model, one.order, one.answer ?? "", one.right === undefined ? "" : one.right ? "1" : "0", one.read ?? "", one.text,
      item.options.length ? probabilities(item.said.flat()[number][3], item.orders[number % item.orders.length][1]) : "",
      ...metrics.map((metric) => (one.scores?.[metric] ?? "").toString()),
    ]));
    return "\ufeff" + posologie.asCsv([heads, ...lines]); // the byte order mark tells a spreadsheet that the text is UTF-8
  }

  function save(text, name, type) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = document.createElement("a");
    [link.href, link.download] = [address, name];
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  const name = (suffix) => (indexOf().study || "study").replace(/[^A-Za-z0-9._-]/g, "_") + "-items." + suffix;
  const acts = {
    csv: (rows) => save(asCsv(rows), name("csv"), "text/csv;charset=utf-8"),
    json: (rows) => save(asJson(rows), name("json"), "application/json"),
    cite: (rows, button) => posologie.copy(citation(rows), button),
  };
  for (const [kind, act] of Object.entries(acts)) {
    const button = place.querySelector(".selection ." + kind);
    button.addEventListener("click", async () => {
      const said = state.textContent;
      button.disabled = true;
      state.textContent = "Loading the items …";
      try {
        act(await selectedItems(), button);
        state.textContent = said;
      } catch (error) {
        state.textContent = "Could not load " + error.message + ". Keep the folder “items” next to this page.";
      }
      button.disabled = false;
    });
  }
}
