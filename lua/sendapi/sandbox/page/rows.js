// A list of which only the rows in sight are in the page, however long it is. One tab stop: arrow
// keys, Page Up and Down, Home and End move in it, Enter chooses.
import { fill, h, setEmpty } from "./dom.js";

const beyond = 6; // rows kept on either side of those in sight
const wide = matchMedia("(min-width: 641px)");

export class Rows {
  #element;
  #tall = h("div.tall", { role: "presentation" });
  #given;
  #items = [];
  #rows = new Map(); // key -> element
  #active = null;
  #chosen = null;

  /**
   * `element` scrolls and gets the focus. `given`: `height` of a row in rem, `key(item)`,
   * `draw(item)` -> children of the row, `choose(item)`, `empty` the text for an empty list. Items
   * are never changed in place: the same one looks the same.
   */
  constructor(element, given) {
    this.#element = element;
    this.#given = given;
    element.append(this.#tall);
    element.addEventListener("scroll", () => this.#draw(), { passive: true });
    element.addEventListener("keydown", (event) => this.#press(event));
    element.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  /** Shows these items. */
  set(items) {
    this.#items = items;
    this.#draw();
  }

  /** Marks the item with this key as the chosen one, without telling. */
  mark(key) {
    this.#chosen = key;
    this.#active = key ?? this.#active;
    this.#draw();
  }

  get #rowHeight() {
    return this.#given.height * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  #draw() {
    const height = this.#rowHeight;
    const top = Math.max(0, Math.floor(this.#element.scrollTop / height) - beyond);
    const sight = Math.ceil(this.#element.clientHeight / height) + 2 * beyond;
    const seen = this.#items.slice(top, top + sight);
    this.#tall.style.height = `${this.#items.length * height}px`;
    this.#drop(new Set(seen.map(this.#given.key)));
    seen.forEach((item, index) => this.#place(item, top + index, height));
    const active = this.#rows.get(this.#active)?.id ?? "";
    this.#element.setAttribute("aria-activedescendant", active);
    setEmpty(this.#element, this.#items.length === 0 && this.#given.empty);
  }

  #drop(kept) {
    for (const [key, row] of this.#rows) {
      if (!kept.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
  }

  #row(key) {
    const row = this.#rows.get(key) ?? h("div.row", { role: "option" });
    if (!row.parentNode) {
      this.#rows.set(key, row);
      this.#tall.append(row);
    }
    return row;
  }

  #place(item, index, height) {
    const key = this.#given.key(item);
    const row = this.#row(key);
    row.id = `${this.#element.id}-${index}`;
    row.style.transform = `translateY(${index * height}px)`;
    row.style.height = `${height}px`;
    row.setAttribute("aria-setsize", this.#items.length);
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-selected", key === this.#chosen);
    row.classList.toggle("active", key === this.#active);
    if (row.item !== item) {
      row.item = item;
      fill(row, this.#given.draw(item));
    }
  }

  #click(event) {
    const item = event.target.closest(".row")?.item;
    if (item) {
      this.#active = this.#given.key(item);
      this.#given.choose(item);
      this.#draw();
    }
  }

  #press(event) {
    const end = this.#items.length;
    const page = Math.max(1, Math.floor(this.#element.clientHeight / this.#rowHeight) - 1);
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -end,
      End: end,
    };
    if (event.ctrlKey || event.altKey || event.metaKey || end === 0) {
      return;
    } else if (event.key in steps) {
      event.preventDefault();
      this.#move(steps[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose(this.#activeIndex());
    }
  }

  #activeIndex() {
    return this.#items.findIndex((item) => this.#given.key(item) === this.#active);
  }

  #move(step) {
    const from = this.#activeIndex();
    const index = Math.min(this.#items.length - 1, Math.max(0, from + step));
    this.#active = this.#given.key(this.#items[index]);
    this.#reveal(index);
    this.#draw();
    if (wide.matches) {
      this.#choose(index); // both panes are in sight
    }
  }

  #choose(index) {
    if (this.#items[index]) {
      this.#given.choose(this.#items[index]);
    }
  }

  #reveal(index) {
    const height = this.#rowHeight;
    const { scrollTop, clientHeight } = this.#element;
    const least = (index + 1) * height - clientHeight;
    this.#element.scrollTop = Math.min(index * height, Math.max(scrollTop, least));
  }
}
