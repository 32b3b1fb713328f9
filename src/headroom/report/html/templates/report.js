"use strict";
// The page is complete without this script; it adds tips, sorting, filters, tabs, zoom and the theme switch.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const tip = document.getElementById("tip");
  const live = document.getElementById("live");

  // --- theme: what the system says, until the reader says otherwise
  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme || "auto") + 1) % themes.length];
    document.documentElement.dataset.theme = next;
    theme.querySelector("span").textContent = next;
  });

  // --- tips: by pointer, and by arrow keys inside a chart
  let shown = null;
  const hideTip = () => {
    if (shown) shown.classList.remove("on");
    shown = null;
    tip.hidden = true;
  };
  const showTip = (mark, x, y) => {
    if (shown !== mark) hideTip();
    shown = mark;
    mark.classList.add("on");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), innerWidth - box.width - 8);
    const below = y + 18 + box.height < innerHeight;
    tip.style.left = left + "px";
    tip.style.top = Math.max(8, below ? y + 18 : y - box.height - 12) + "px";
  };
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest ? event.target.closest(".mark") : null;
    if (mark) showTip(mark, event.clientX, event.clientY);
    else if (shown && event.pointerType === "mouse" && !shown.closest("[data-chart]").matches(":focus")) hideTip();
  });
  document.addEventListener("pointerdown", (event) => {
    const mark = event.target.closest ? event.target.closest(".mark") : null;
    if (mark) showTip(mark, event.clientX, event.clientY);
    else hideTip();
  });
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  for (const chart of all("[data-chart]")) {
    let at = -1;
    chart.addEventListener("keydown", (event) => {
      const marks = all(".mark", chart);
      if (event.key === "Escape") return hideTip();
      if (event.key === "Home") at = 0;
      else if (event.key === "End") at = marks.length - 1;
      else if (event.key in steps) at = Math.min(Math.max(at + steps[event.key], 0), marks.length - 1);
      else return;
      event.preventDefault();
      const mark = marks[at];
      if (!mark) return;
      // At once: a tip placed during a smooth scroll would end up beside its mark.
      mark.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      const box = mark.getBoundingClientRect();
      showTip(mark, box.left + Math.min(box.width / 2, 200), box.top + box.height / 2);
      live.textContent = mark.dataset.tip.replaceAll("\n", ", ");
    });
    chart.addEventListener("blur", () => { hideTip(); at = -1; });
  }

  // --- zoom of the schedule
  const zooms = ["", "z2", "z4", "z8", "z16", "z32"];
  for (const figure of all("figure:has(.zoom)")) {
    const track = figure.querySelector(".track");
    const buttons = all("[data-zoom]", figure);
    let level = 0;
    const apply = (next) => {
      const middle = (track.scrollLeft + track.clientWidth / 2) / track.scrollWidth;
      if (zooms[level]) track.classList.remove(zooms[level]);
      level = Math.min(Math.max(next, 0), zooms.length - 1);
      if (zooms[level]) track.classList.add(zooms[level]);
      track.scrollLeft = middle * track.scrollWidth - track.clientWidth / 2;
      for (const button of buttons) {
        const end = Number(button.dataset.zoom) < 0 ? 0 : zooms.length - 1;
        button.setAttribute("aria-disabled", String(level === end));
      }
    };
    for (const button of buttons) button.addEventListener("click", () => apply(level + Number(button.dataset.zoom)));
  }

  // --- the layer table: sort and filter
  // Laying out thousands of rows takes a browser a second; the first ones answer most questions.
  const FIRST_ROWS = 250;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  for (const holder of all("[data-table]")) {
    const body = holder.querySelector("tbody");
    const rows = [...body.rows];
    const heads = all("thead th", holder);
    const count = holder.querySelector(".count");
    const more = holder.querySelector("[data-more]");
    let shownRows = FIRST_ROWS;
    const field = (name) => holder.querySelector(`[data-filter="${name}"]`);

    const sort = (column, direction) => {
      const sign = direction === "ascending" ? 1 : -1;
      const numeric = heads[column].classList.contains("num");
      const keyed = rows.map((row, order) => {
        const cell = row.cells[column];
        const text = numeric ? cell.dataset.v : (cell.querySelector(".name") || cell).textContent.trim();
        return { row, order, text, value: numeric ? Number(text) : 0 };
      });
      keyed.sort((a, b) => {
        // What is not known stays at the end, whichever way the column is sorted.
        if (!a.text || !b.text) return (a.text ? 0 : 1) - (b.text ? 0 : 1) || a.order - b.order;
        const difference = numeric ? a.value - b.value : collator.compare(a.text, b.text);
        return sign * difference || a.order - b.order;
      });
      rows.splice(0, rows.length, ...keyed.map((entry) => entry.row));
      filter();
      body.append(...rows);
      heads.forEach((head, i) => head.setAttribute("aria-sort", i === column ? direction : "none"));
    };
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const first = head.classList.contains("num") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        sort(column, head.getAttribute("aria-sort") === first ? second : first);
      });
    });

    const filter = () => {
      const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = field("kind").value;
      const limit = field("limit").value;
      let left = 0;
      let beyond = 0;
      for (const row of rows) {
        const data = row.dataset;
        const keep = (!kind || data.kind === kind) && (!limit || data.limit === limit) && words.every((w) => data.search.includes(w));
        row.hidden = !keep;
        if (keep) left += 1;
        const late = keep && left > shownRows;
        row.classList.toggle("beyond", late);
        if (late) beyond += 1;
      }
      more.hidden = beyond === 0;
      more.textContent = `Show ${beyond} more`;
      count.textContent = `${left} of ${rows.length} configurations`;
    };
    for (const control of all("[data-filter]", holder)) control.addEventListener("input", filter);
    more.addEventListener("click", () => {
      shownRows = Infinity;
      filter();
    });
    filter();
    holder.querySelector("[data-reset]").addEventListener("click", () => {
      for (const control of all("[data-filter]", holder)) control.value = "";
      filter();
    });
  }

  // --- code to copy: one click selects it without a script, and with one puts it on the clipboard
  for (const block of all(".copyable")) {
    const button = block.querySelector("[data-copy]");
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", () => {
      const said = (text) => {
        button.textContent = text;
        live.textContent = text;
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      };
      navigator.clipboard.writeText(block.querySelector("code").textContent).then(() => said("Copied"), () => said("Select it"));
    });
  }

  // --- tabs, when there are several answers
  const tabs = all('[role="tab"]');
  const select = (tab) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    hideTip();
  };
  if (tabs.length) {
    tabs[0].parentElement.hidden = false;
    const linked = location.hash && document.querySelector(CSS.escape ? "#" + CSS.escape(location.hash.slice(1)) : null);
    const panel = linked && linked.closest('[role="tabpanel"]');
    select(tabs.find((tab) => panel && tab.getAttribute("aria-controls") === panel.id) || tabs[0]);
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => select(tab));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = tabs[(to + tabs.length) % tabs.length];
        select(next);
        next.focus();
      });
    });
  }
})();
