// The inbox: the list of threads; the conversation beside it has its own file.
import { bdi, excerpt, find, h, objects, on, text } from "./dom.js";
import { shortTime } from "./format.js";
import { avatar, nameOf, titleOf } from "./message.js";
import { lastAt, newestFirst, openThread, store, watch } from "./store.js";
import { Rows } from "./rows.js";

function drawLast(thread) {
  const [typing] = objects(thread.typing);
  if (typing) {
    return h("span.last.now", bdi(nameOf(typing.user)), " is typing…");
  }
  const words = excerpt(thread.last?.text, 90) || "attachment";
  return h("span.last", bdi(thread.last ? words : ""));
}

function drawUnread({ unread }) {
  const shown = unread > 99 ? "99+" : unread;
  return unread > 0 && h("span.unread", { title: `${unread} unread` }, shown);
}

function drawThread(thread) {
  const source = store.sources.get(thread.source);
  const name = text(source?.name) || text(thread.source);
  const time = h("time", shortTime(thread.last?.at));
  return [
    avatar(objects(thread.users)[0]),
    h(
      thread.unread > 0 ? "span.lines.has-unread" : "span.lines",
      h("span.line", bdi(titleOf(thread), "title"), time),
      h("span.line", drawLast(thread), drawUnread(thread)),
      store.sources.size > 1 && h("span.line.from", bdi(name)),
    ),
  ];
}

/** Whether a thread holds what is searched for. */
function holds(thread, wanted) {
  const parts = [
    titleOf(thread),
    ...objects(thread.users).map(nameOf),
    text(thread.last?.text).slice(0, 500),
  ];
  return parts.some((part) => part.toLowerCase().includes(wanted));
}

export function startInbox() {
  const rows = new Rows(find("threads"), {
    height: 4.75,
    key: (thread) => thread.key,
    draw: drawThread,
    choose: (thread) => (location.hash = `#inbox/${encodeURIComponent(thread.key)}`),
    empty: "No threads yet. They appear here as soon as the sandbox receives something.",
  });
  const draw = () => {
    const wanted = find("thread-search").value.trim().toLowerCase();
    const threads = newestFirst(store.threads, lastAt);
    rows.set(wanted ? threads.filter((thread) => holds(thread, wanted)) : threads);
  };
  on("thread-search", "input", draw);
  watch("threads sources source", draw);
  watch("conversation", () => rows.mark(store.open?.key ?? null));
}

/** Shows the conversation of the address bar. */
export function goToThread(key) {
  if ((store.open?.key ?? null) !== key) {
    openThread(key);
  }
}
