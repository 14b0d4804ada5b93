// Headings of tables become buttons that sort. Without scripts they are as they are.
const amount = (cell) => {
  const text = cell.firstChild ? cell.textContent.replace(/\u2212/g, "-").replace(/,/g, "") : "";
  const time = [...text.matchAll(/([\d.]+) ?(h|min|s)\b/g)].reduce((sum, [, n, unit]) => sum + n * { h: 3600, min: 60, s: 1 }[unit], 0);
  const found = text.match(/-?\d+(\.\d+)?/);
  return time || (found ? found[0] * ({ k: 1e3, M: 1e6 }[(text.match(/\d ([kM])\b/) || [])[1]] || 1) : -Infinity);
};
document.querySelectorAll("table").forEach((table) => {
  const heads = table.querySelectorAll("thead th"), body = table.tBodies[0];
  if (!body || body.rows.length < 3) return;
  heads.forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const number = head.classList.contains("number");
      const key = (row) => (number ? amount(row.cells[column]) : row.cells[column].textContent.trim());
      const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (down === number ? -1 : 1);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      [...body.rows].sort(order).forEach((row) => body.append(row));
    };
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", sort);
  });
});
