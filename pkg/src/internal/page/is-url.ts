/** A text that could as well be a file's name or a mistake is no URL. */
export function isUrl(value: unknown): value is string | URL {
  return (typeof value === "string" && /^([a-z][a-z\d+.-]*:|\.{0,2}\/)/i.test(value)) || value instanceof URL;
}
