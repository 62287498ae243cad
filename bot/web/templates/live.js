"use strict";
(() => {
  const main = document.getElementById("run");
  const address = new URL(location.href);
  address.searchParams.set("fragment", "1");
  let wait = 1000;
  const refresh = async () => {
    try {
      const answer = await fetch(address, { cache: "no-store", credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (!getSelection()?.toString()) replace(text);
      wait = 1000;
    } catch {
      wait = Math.min(wait * 2, 30000);
    }
    if (main.querySelector("[data-live]")) setTimeout(refresh, wait);
  };
  const replace = (text) => {
    const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.id));
    const closed = new Set([...main.querySelectorAll("details:not([open])")].map((one) => one.id));
    const scrolled = new Map([...main.querySelectorAll("pre[id]")].map((one) => [one.id, one.scrollTop]));
    main.innerHTML = text;
    for (const one of main.querySelectorAll("details")) {
      if (open.has(one.id)) one.open = true;
      if (closed.has(one.id)) one.open = false;
    }
    for (const one of main.querySelectorAll("pre[id]")) one.scrollTop = scrolled.get(one.id) ?? 0;
    const title = main.querySelector("[data-title]");
    if (title) document.title = title.dataset.title;
  };
  setTimeout(refresh, wait);
})();
