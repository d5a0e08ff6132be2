// The frame of the guide's pages.

const escape = (text) => text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect x='3' y='3' width='19' height='19' rx='5' fill='%23f0705a' opacity='.85'/%3E%3Crect x='10' y='10' width='19' height='19' rx='5' fill='%234a8fe0' opacity='.75'/%3E%3C/svg%3E";

/** A page of the site. The first one of the guide, `index.md`, has the whole width; the others stand beside the contents. */
export function renderPage({ source, title, description = "", headings, body, sections, locate }) {
  const landing = source === "www/guide/index.md";
  const top = (path) => locate(`www/guide/${path}`);
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="description" content="${escape(description)}" />
    <meta name="color-scheme" content="light dark" />
    <title>${landing ? "Glassine" : `${escape(title)} · Glassine`}</title>
    <link rel="icon" href="${icon}" />
    <link rel="stylesheet" href="/guide/style.css" />
    <script type="module" src="/guide/copy.ts"></script>
  </head>
  <body class="${landing ? "landing" : "document"}">
    <a class="skip" href="#content">Skip to the text</a>
    <header>
      <a class="brand" href="${top("index.md")}"><svg viewBox="0 0 32 32" aria-hidden="true"><rect x="3" y="3" width="19" height="19" rx="5" /><rect x="10" y="10" width="19" height="19" rx="5" /></svg>Glassine</a>
      <nav aria-label="Site">
        <a href="${top("start.md")}">Guide</a>
        <a href="${top("cookbook/index.md")}">Cookbook</a>
        <a href="${locate("pkg/README.md")}">Reference</a>
        <a class="studio" href="${locate("www/index.html")}">Try it</a>
      </nav>
    </header>
    <div class="page">
${landing ? "" : contents(sections, source)}
      <main id="content" tabindex="-1">
${body}
${landing ? "" : neighbours(sections, source)}
      </main>
${landing || headings.length < 2 ? "" : onThisPage(headings)}
    </div>
    <footer><p>Glassine is free software, MIT or Apache-2.0. Every picture here was made by the small model in the package.</p></footer>
  </body>
</html>
`;
}

/** All pages: a list beside the text, and on a narrow screen one that unfolds. */
function contents(sections, source) {
  const lists = sections.map(({ title, pages }) => {
    const items = pages.map(({ source: page, href, title }) => `<li><a href="${href}"${page === source ? ' aria-current="page"' : ""}>${escape(title.split(":")[0])}</a></li>`);
    return `<h2>${escape(title)}</h2><ul>${items.join("")}</ul>`;
  });
  return `      <nav class="contents" aria-label="Contents"><details><summary>Contents</summary>${lists.join("")}</details><div>${lists.join("")}</div></nav>`;
}

function onThisPage(headings) {
  const items = headings.map(({ slug, title }) => `<li><a href="#${slug}">${escape(title)}</a></li>`);
  return `      <nav class="outline" aria-label="On this page"><h2>On this page</h2><ul>${items.join("")}</ul></nav>`;
}

function neighbours(sections, source) {
  const pages = sections.flatMap(({ pages }) => pages);
  const index = pages.findIndex((page) => page.source === source);
  const link = (page, rel, label) => (page ? `<a rel="${rel}" href="${page.href}"><small>${label}</small>${escape(page.title)}</a>` : "<span></span>");
  return `<nav class="neighbours" aria-label="Next pages">${link(pages[index - 1], "prev", "Before")}${link(pages[index + 1], "next", "Next")}</nav>`;
}
