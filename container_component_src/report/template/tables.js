"use strict";
// Tables whose rows can be sorted and filtered, and a download of their data.

const rowsOf = (table) => [...table.querySelectorAll("tbody tr")];

function press(button) {
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
}

function sortBy(header) {
  const table = header.closest("table");
  const rows = rowsOf(table);
  const column = [...header.parentElement.children].indexOf(header);
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentElement.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const keyOf = (cell) => cell.dataset.sort ?? cell.textContent.replace("\u2013", "");
  const keys = new Map(rows.map((row) => [row, keyOf(row.children[column])]));
  const numeric = [...keys.values()].every((key) => key === "" || Number.isFinite(Number(key)));
  const texts = new Intl.Collator("en", { numeric: true });
  const compare = (left, right) => {
    const [first, second] = [keys.get(left), keys.get(right)];
    if (first === "" || second === "") return (first === "") - (second === ""); // empty ones last
    const order = numeric ? Number(first) - Number(second) : texts.compare(first, second);
    return descending ? -order : order;
  };
  table.querySelector("tbody").append(...rows.sort(compare));
}

// A filter is a control with `data-filter`: the attribute of the rows that must have its value; "" shows all.
function filterRows(section) {
  const wanted = [...section.querySelectorAll("select[data-filter], [data-filter] [aria-pressed='true']")].map(
    (control) => [control.closest("[data-filter]").dataset.filter, control.value]);
  const rows = rowsOf(section.querySelector("table"));
  for (const row of rows) row.hidden = wanted.some(([name, value]) => value !== "all" && row.dataset[name] !== value);
  const count = section.querySelector("[data-count]");
  if (count) count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
}

function tableControls() {
  for (const header of document.querySelectorAll(".sortable thead th")) {
    header.querySelector("button").addEventListener("click", () => sortBy(header));
  }
  for (const control of document.querySelectorAll("select[data-filter], [data-filter] button")) {
    control.addEventListener(control.matches("select") ? "change" : "click", () => {
      if (control.matches("button")) press(control);
      filterRows(control.closest("section"));
    });
  }
}

function download(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
