"use strict";
// Sorting and filtering; the page is complete without it.
const valueOf = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.v ?? cell.textContent.trim();
  const number = Number(text.replace(",", "."));
  return text === "" || Number.isNaN(number) ? text : number;
};
const words = new Intl.Collator(document.documentElement.lang, { numeric: true });
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : words.compare(String(a), String(b));
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
      rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
      table.tBodies[0].append(...rows.map((pair) => pair[1]));
    });
  });
}
const filter = document.getElementById("filter");
const shown = document.getElementById("shown");
const rows = [...document.getElementById("students").tBodies[0].rows];
const names = new Map(rows.map((row) => [row, row.cells[0].textContent.toLowerCase()]));
filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase();
  let count = 0;
  for (const row of rows) {
    row.hidden = !names.get(row).includes(wanted);
    if (!row.hidden) count += 1;
  }
  shown.textContent = `${count} / ${rows.length}`;
});
