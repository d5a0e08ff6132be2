/** The element inside of another that a selector names. */
export function part<E extends HTMLElement>(of: ParentNode, selector: string, kind: new () => E): E {
  const element = of.querySelector(selector);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${selector}`);
}
