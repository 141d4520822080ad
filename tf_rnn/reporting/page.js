// Without this script the page is complete; with it, a click on the head of a column sorts its rows.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (!body.rows[2]) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const isNumber = head.classList.contains("number");
    const value = (row) => {
      const text = row.cells[column].textContent;
      const number = parseFloat(text.replace(/[,\s]/g, ""));
      return isNumber ? (text.endsWith("min") ? 60 * number : number) : text;
    };
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const rows = [...body.rows].map((row) => [value(row), row]);
      rows.sort(([a], [b]) => {
        if (!isNumber) return sign * a.localeCompare(b, "en", { numeric: true });
        return isNaN(a) - isNaN(b) || sign * (a - b) || 0;
      });
      body.append(...rows.map(([, row]) => row));
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    });
  });
}
