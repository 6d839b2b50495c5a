// A grid of pictures or texts. A click opens one; the corner box, Shift+click and Ctrl+click select many.
// Every text is set as text, never as HTML: labels and ids come from users.

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".gallery");
  const memory = (root.memory ??= { selected: new Set(), last: null, ids: "" });
  const ids = data.tiles.map((tile) => tile.id);

  // Only what is still on the page can be selected.
  const kept = [...memory.selected].filter((id) => ids.includes(id));
  if (kept.length !== memory.selected.size) memory.selected = new Set(kept);

  const send = () => setStateValue("selected", ids.filter((id) => memory.selected.has(id)));

  const paint = () => {
    for (const node of root.querySelectorAll(".tile")) {
      const isSelected = memory.selected.has(node.dataset.id);
      node.classList.toggle("selected", isSelected);
      node.querySelector(".box").setAttribute("aria-checked", isSelected);
    }
    const bar = root.querySelector(".bar");
    if (bar) {
      bar.querySelector(".count").textContent = memory.selected.size
        ? `${memory.selected.size} selected`
        : "Tick items to decide on several at once";
      bar.querySelector(".none").hidden = memory.selected.size === 0;
    }
  };

  const toggle = (id, reach) => {
    const from = ids.indexOf(memory.last), to = ids.indexOf(id);
    if (reach && from >= 0) {
      for (let i = Math.min(from, to); i <= Math.max(from, to); i++) memory.selected.add(ids[i]);
    } else if (!memory.selected.delete(id)) {
      memory.selected.add(id);
    }
    memory.last = id;
    paint();
    send();
  };

  const element = (tag, name, text) => {
    const node = document.createElement(tag);
    node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const draw = (tile) => {
    const node = element("div", "tile");
    node.dataset.id = tile.id;
    node.classList.toggle("current", tile.id === data.current);
    node.classList.toggle("done", Boolean(tile.mark));

    const open = element("button", "open");
    open.type = "button";
    open.title = `${tile.id}: ${tile.label}${tile.note ? " " + tile.note : ""}`;
    const picture = tile.words ? element("span", "picture words", tile.words) : element("img", "picture");
    if (!tile.words) {
      picture.src = tile.src;
      picture.alt = `item ${tile.id}, ${tile.label}`;
      picture.draggable = false;
    }
    const caption = element("span", "caption");
    const dot = element("span", "dot");
    dot.style.background = tile.color;
    caption.append(dot, element("span", "label", tile.label), element("span", "note", tile.note));
    open.append(picture, caption);
    open.onclick = (event) => {
      if (data.selectable && (event.shiftKey || event.ctrlKey || event.metaKey)) {
        toggle(tile.id, event.shiftKey);
      } else {
        setTriggerValue("opened", tile.id);
      }
    };
    node.append(open);
    if (tile.mark) node.append(element("span", "mark", tile.mark));

    const box = element("button", "box", "✓");
    box.type = "button";
    box.hidden = !data.selectable;
    box.setAttribute("role", "checkbox");
    box.setAttribute("aria-label", `select item ${tile.id}`);
    box.onclick = (event) => toggle(tile.id, event.shiftKey);
    node.append(box);
    return node;
  };

  const parts = [];
  if (data.selectable) {
    const bar = element("div", "bar");
    const all = element("button", "all", "Select all");
    all.type = "button";
    all.onclick = () => { memory.selected = new Set(ids); paint(); send(); };
    const none = element("button", "none", "Clear");
    none.type = "button";
    none.onclick = () => { memory.selected = new Set(); paint(); send(); };
    bar.append(element("span", "count"), all, none);
    parts.push(bar);
  }
  const grid = element("div", "grid");
  grid.style.setProperty("--width", `${data.width}px`);
  grid.append(...data.tiles.map(draw));
  root.replaceChildren(...parts, grid);
  paint();
}
