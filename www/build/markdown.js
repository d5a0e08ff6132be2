// Markdown as the guide has it. A paragraph that is nothing but a link stands for what it leads to: a file of the
// examples, or a region of one, becomes that code; a section of the package's README becomes its text; and the list of
// error codes becomes a table. So nothing is written twice, and the files can be read where they are.

import { posix } from "node:path";
import hljs from "highlight.js/lib/common";
import markdownIt from "markdown-it";
import anchor from "markdown-it-anchor";

const languages = { js: "javascript", ts: "typescript", tsx: "typescript", html: "xml", json: "json" };

/**
 * Gives a file's `body`, `title`, `description` and `headings`. `read` gives a file of the repository, `locate` its
 * address on the site, seen from this page.
 */
export function toHtml(source, { read, locate, errorCodes }) {
  const headings = [];
  const md = markdownIt({ html: true, highlight });
  md.use(anchor, { level: [2, 3], slugify: (title) => title.toLowerCase().match(/[\p{L}\p{N}]+/gu).join("-"), callback: (token, { slug, title }) => token.tag === "h2" && headings.push({ slug, title }) });
  md.renderer.rules.fence = md.renderer.rules.code_block = renderCode(md);
  md.renderer.rules.image = renderImage(md, (src) => sizeOf(read, posix.join(posix.dirname(source), src)));
  md.renderer.rules.table_open = () => '<div class="table" tabindex="0" role="group" aria-label="Table"><table>\n';
  md.renderer.rules.table_close = () => "</table></div>\n";
  md.core.ruler.push("links", ({ tokens }) => {
    for (const token of tokens) relink(token.children ?? [], source, locate);
  });

  const text = include(read(source), source, { read, errorCodes }).replace(/<!--.*?-->\n?/gs, "");
  const [, title] = /^# (.+)$/m.exec(text);
  const [, description] = /^# .+\n+([^\n<#].*(?:\n.+)*)/m.exec(text) ?? [];
  return { title, headings, description: description && md.renderInline(description).replace(/<[^>]+>/g, "").replaceAll("\n", " "), body: md.render(text).replaceAll("<th></th>", "<td></td>") };
}

/** Puts in the place of each link that is alone what it leads to. */
function include(text, source, { read, errorCodes }) {
  return text.replace(/^\[[^\]]+\]\(([^)#]+)(?:#([\w-]+))?\)$/gm, (link, href, part) => {
    const path = posix.join(posix.dirname(source), href);
    if (path.startsWith("examples/") && posix.extname(path)) return codeOf(path, part, read(path));
    if (path === "pkg/README.md") return section(read(path), part);
    if (path === "pkg/src/public/errors.ts") {
      return ["| code | what it means |", "|---|---|", ...Object.entries(errorCodes).map(([code, text]) => `| \`${code}\` | ${text} |`)].join("\n");
    }
    return link;
  });
}

/** A fence with a file, or with a region of it, which editors fold by the same marks. */
function codeOf(path, region, text) {
  const lines = text.trimEnd().split("\n");
  const start = region ? lines.findIndex((line) => new RegExp(`#region ${region}\\b`).test(line)) : -1;
  if (region && start < 0) throw new Error(`${path} has no region ${region}`);
  const end = region ? lines.findIndex((line, index) => index > start && line.includes("#endregion")) : lines.length;
  const code = lines.slice(start + 1, end).filter((line) => !/#(end)?region\b/.test(line));
  const indent = Math.min(...code.filter(Boolean).map((line) => /^ */.exec(line)[0].length));
  return [`\`\`\`${posix.extname(path).slice(1)} ${path}`, ...code.map((line) => line.slice(indent)), "```"].join("\n");
}

/** What a README says under the heading of a slug. */
function section(text, slug) {
  const sections = text.split(/^## /m).slice(1);
  const found = sections.find((section) => section.split("\n", 1)[0].toLowerCase().replaceAll(" ", "-") === slug);
  if (!found) throw new Error(`there is no section ${slug}`);
  return found.slice(found.indexOf("\n")).trim();
}

function highlight(code, name) {
  const language = languages[name] ?? name;
  return hljs.getLanguage(language) ? hljs.highlight(code, { language }).value : "";
}

/** Code in a box that the keyboard can scroll, with the name of the file that it is from. */
function renderCode(md) {
  return (tokens, index) => {
    const { info, content } = tokens[index];
    const [language, file] = info.split(" ");
    const caption = file ? `<figcaption>${file}</figcaption>` : "";
    const code = highlight(content, language) || md.utils.escapeHtml(content);
    return `<figure class="code">${caption}<pre tabindex="0" role="group" aria-label="${file ?? "Code"}"><code>${code}</code></pre></figure>\n`;
  };
}

/** Pictures say their size, so that the text does not jump. */
function renderImage(md, size) {
  return (tokens, index) => {
    const token = tokens[index];
    const { width, height } = size(token.attrGet("src"));
    const attributes = { src: `./${token.attrGet("src")}`, alt: token.content, width, height, title: token.attrGet("title") };
    const text = Object.entries(attributes).filter(([, value]) => value !== null).map(([name, value]) => `${name}="${md.utils.escapeHtml(String(value))}"`);
    return `<img ${text.join(" ")} />`;
  };
}

/** The size of a PNG, which its first bytes say. */
function sizeOf(read, path) {
  const bytes = Buffer.from(read(path, "latin1"), "latin1");
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

/** Has links lead to pages of the site. What is not on it is named by its path in the source. */
function relink(tokens, source, locate) {
  tokens.forEach((token, index) => {
    if (token.type !== "link_open") return;
    const [path, fragment] = token.attrGet("href").split("#");
    if (!path || /^[a-z]+:/.test(path)) return;
    const target = posix.join(posix.dirname(source), path).replace(/\/$/, "");
    const address = locate(target);
    if (target.startsWith("examples/")) token.attrSet("class", "run");
    if (address) return token.attrSet("href", fragment ? `${address}#${fragment}` : address);
    const end = tokens.findIndex((other, place) => place > index && other.type === "link_close");
    const text = tokens.slice(index + 1, end).map(({ content }) => content).join("");
    Object.assign(token, { type: "html_inline", tag: "", nesting: 0, content: "" });
    Object.assign(tokens[end], { type: "html_inline", tag: "", nesting: 0, content: text === target ? "" : ` (<code>${target}</code>)` });
  });
}
