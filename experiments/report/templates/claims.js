// Which claims are shown, and which numbers that moved.
(() => {
  const form = document.getElementById("claim-filters");
  if (form) {
    const rows = [...document.getElementById("claims-table").tBodies[0].rows];
    const show = () => {
      const chosen = new FormData(form), verdicts = new Set(chosen.getAll("verdict"));
      const words = chosen.get("words").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(
          verdicts.has(row.dataset.verdict) &&
          ["paper", "section"].every((name) => !chosen.get(name) || row.dataset[name] === chosen.get(name)) &&
          words.every((word) => text.includes(word))
        );
        shown += !row.hidden;
      }
      document.getElementById("claims-shown").textContent = `${shown} of ${rows.length} readings`;
    };
    form.addEventListener("input", show);
    form.addEventListener("reset", () => setTimeout(show));
    form.addEventListener("submit", (event) => event.preventDefault());
    const missing = form.querySelector("input[value='not run']");
    const absent = rows.filter((row) => row.dataset.verdict === "not run").length;
    if (missing && 2 * absent > rows.length) missing.checked = false; // a tick, or All, shows them
    show();
  }
  const moves = document.getElementById("move-filters");
  moves?.addEventListener("input", () => {
    const chosen = new Set(new FormData(moves).getAll("move"));
    for (const row of document.getElementById("moves-table").tBodies[0].rows) row.hidden = !chosen.has(row.dataset.move);
  });
})();
