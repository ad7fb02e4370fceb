// Sorting, differences, and how a row was made. One listener each, so that rows that come later work.
const valueOf = (cell, differing) => {
  if (!cell) return null;
  const text = differing && cell.dataset.d !== undefined ? cell.dataset.d : (cell.dataset.v ?? cell.textContent.trim());
  if (text === "" || text === "—") return null;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
};

const order = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

// Rows with what stands below each of them; the missing come last whichever way.
const sortTable = (table, column, direction) => {
  const body = table.tBodies[0], differing = table.classList.contains("differing");
  const groups = [];
  for (const row of [...body.rows])
    if (row.classList.contains("made")) groups.at(-1).rows.push(row);
    else groups.push({ rows: [row], value: valueOf(row.cells[column], differing) });
  groups.sort((a, b) => {
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return direction * order(a.value, b.value);
  });
  body.append(...groups.flatMap((group) => group.rows));
};

document.addEventListener("click", (event) => {
  const sort = event.target.closest("button.sort");
  if (sort) {
    const head = sort.closest("th"), table = sort.closest("table");
    const direction = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    sortTable(table, head.cellIndex, direction);
  }
  const more = event.target.closest("button.more");
  if (more) {
    const open = more.getAttribute("aria-expanded") === "true";
    more.setAttribute("aria-expanded", String(!open));
    document.getElementById(more.getAttribute("aria-controls")).hidden = open;
  }
  const toggle = event.target.closest("button[data-differences]");
  if (toggle) {
    const on = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(on));
    document.getElementById(toggle.dataset.differences).classList.toggle("differing", on);
  }
});
