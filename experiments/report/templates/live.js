// How the run goes, every three seconds; tables are fetched again when they have more.
(() => {
  const at = (id) => document.getElementById(id), html = new Map();
  let version = null;
  const said = (seconds) => seconds === null ? "no estimate yet" : seconds > 5400 ? `about ${(seconds / 3600).toFixed(1)} h left` : `about ${Math.ceil(seconds / 60)} min left`;
  const cells = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const kinds = (list) => at("run-kinds").tBodies[0].replaceChildren(...list.map(([kind, done, of]) => {
    const row = document.createElement("tr"), head = cells("th", kind);
    head.scope = "row";
    row.append(head, cells("td", done), cells("td", of));
    return row;
  }));
  // Said whether or not the curves are open, and once: an alert is read aloud whenever it is written.
  const lost = (curves) => {
    const text = curves.filter((c) => c.not_finite !== null).map((c) => `The loss of ${c.name} is not finite at step ${c.not_finite}.`).join(" ");
    at("run-lost").hidden = !text;
    if (at("run-lost").textContent !== text) at("run-lost").textContent = text;
  };
  // A loss that is not finite comes as null, which Plotly leaves out as a gap in the line.
  const losses = async (curves) => {
    if (!at("run-losses").open) return;
    at("losses-said").textContent = curves.length ? "" : "Nothing is being trained now.";
    at("losses").hidden = !curves.length;
    if (!curves.length) return;
    const Plotly = await library();
    const data = curves.map((c) => ({ name: c.name, x: c.steps, y: c.losses, mode: "lines", type: "scatter" }));
    Plotly.react(at("losses"), data, layout("step", "loss"), { responsive: true, displaylogo: false });
  };
  // A table that has not changed keeps its sorting and what was opened in it.
  const tables = async () => {
    const fresh = new DOMParser().parseFromString(await (await fetch("/tables.html")).text(), "text/html");
    const articles = [...fresh.querySelectorAll("article")];
    if (articles.some((each) => !at(each.id))) at("tables").replaceChildren(...fresh.body.childNodes);
    else for (const each of articles) if (html.get(each.id) !== each.outerHTML) at(each.id).replaceWith(each);
    for (const each of articles) html.set(each.id, each.outerHTML);
    document.dispatchEvent(new Event("tabled"));
  };
  const look = async () => {
    try {
      const now = await (await fetch("/state.json")).json();
      at("run-said").textContent = `${now.done} of ${now.total} stages are done, ${now.a_minute} a minute, ${said(now.seconds_left)}.`;
      at("run-bar").max = now.total;
      at("run-bar").value = now.done;
      kinds(now.kinds);
      lost(now.curves);
      await losses(now.curves);
      if (now.version !== version) await tables();
      version = now.version;
    } catch {
      at("run-said").textContent = "The server does not answer: it was stopped, or cannot read the store.";
    }
    setTimeout(look, 3000);
  };
  look();
})();
