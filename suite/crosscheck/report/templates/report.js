// Search, filter by verdict, and sort; without a script the page is whole, only longer to look through.
(() => {
  "use strict";
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];

  // A bar that searches rows and filters them by verdict; `section` is what belongs to a row elsewhere, if anything.
  function filterBar(bar, rows, section, noun) {
    const search = bar.querySelector("input"), count = bar.querySelector("output");
    const chosen = all("button[data-verdict]", bar);
    const wordsOf = (row) => `${row.textContent} ${section(row)?.textContent ?? ""}`.toLowerCase();
    const text = new Map(rows.map((row) => [row, wordsOf(row)]));

    function filter() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const verdicts = chosen.filter((b) => b.ariaPressed === "true").map((b) => b.dataset.verdict);
      let shown = 0;
      for (const row of rows) {
        const fits = words.every((word) => text.get(row).includes(word));
        const visible = fits && (!verdicts.length || verdicts.includes(row.dataset.verdict));
        row.hidden = !visible;
        if (section(row)) section(row).hidden = !visible;
        shown += visible;
      }
      for (const part of all(".part")) part.hidden = all("tr[data-sentence]", part).every((row) => row.hidden);
      count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} ${noun}`;
    }

    function clear() {
      search.value = "";
      for (const button of chosen) button.ariaPressed = "false";
      filter();
    }

    search.addEventListener("input", filter);
    for (const button of chosen) button.addEventListener("click", () => {
      button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
      filter();
    });
    bar.addEventListener("submit", (event) => event.preventDefault());
    bar.querySelector("button[type=reset]").addEventListener("click", clear);
    bar.hidden = false;
    return clear;
  }

  const rows = all("tr[data-claim]"), sentences = all("tr[data-sentence]");
  const clearStudies = filterBar(document.getElementById("filter"), rows,
    (row) => document.getElementById(row.dataset.claim), "studies");
  const clearSentences = filterBar(document.getElementById("sentences-filter"), sentences, () => null, "sentences");

  // The figures once more, small, beside the claims.
  function thumbnails() {
    for (const cell of all(".overview .thumbnail")) cell.hidden = false;
    for (const row of rows) {
      const figure = document.getElementById(row.dataset.claim).querySelector("figure img");
      if (!figure) continue;
      const link = document.createElement("a"), image = new Image();
      Object.assign(link, { href: `#${row.dataset.claim}`, tabIndex: -1, ariaHidden: "true" });
      Object.assign(image, { src: figure.src, alt: "" });
      link.append(image);
      row.querySelector(".thumbnail").append(link);
    }
  }

  // A link to what is folded or filtered away shows it.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const section = target.closest("section");
    if (section && section.hidden) clearStudies();
    if (target.closest("[hidden]") && target.closest(".part")) clearSentences();
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  }

  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const digits = (text) => text.replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (c) => SUPERSCRIPTS.indexOf(c)).replace("⁻", "-");

  // What a cell's number is; where it does not say, the one that it begins with: `12`, `−1.2 × 10⁻³`, `∞`.
  function numberIn(cell) {
    if (cell.dataset.v) return Number(cell.dataset.v);
    const shown = cell.textContent.trim().replace(/^−/, "-");
    if (/^-?∞/.test(shown)) return shown[0] === "-" ? -Infinity : Infinity;
    const number = shown.match(/^(-?[\d.]+)(?:\s*×\s*10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/);
    return number ? Number(number[1]) * 10 ** Number(digits(number[2] || "0")) : NaN;
  }

  function sort(table, column, down) {
    const body = table.tBodies[0];
    const cells = [...body.rows].map((row) => [row, row.cells[column], numberIn(row.cells[column])]);
    const numeric = cells.some(([, , n]) => !Number.isNaN(n)) && table.tHead.rows[0].cells[column].classList.contains("n");
    const words = new Intl.Collator("en", { numeric: true });
    const before = (a, b) => (numeric
      ? Number.isNaN(a[2]) - Number.isNaN(b[2]) || (a[2] === b[2] ? 0 : (a[2] - b[2]) * down || 0)
      : words.compare(a[1].textContent.trim(), b[1].textContent.trim()) * down);
    body.append(...cells.sort(before).map(([row]) => row));
  }

  function sortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim() || head.classList.contains("thumbnail")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.ariaSort === "ascending" ? -1 : 1;
        for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
        head.ariaSort = down === 1 ? "ascending" : "descending";
        sort(table, column, down);
      });
    });
  }

  all("table").filter((t) => t.tHead && t.tBodies[0] && t.tBodies[0].rows.length > 1).forEach(sortable);
  addEventListener("hashchange", reveal);
  thumbnails();
  reveal();
})();
