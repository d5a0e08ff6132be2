// What a model of few words was taught: what to offer as somebody types, and which words it does not know.

/** The most words that are named, as by the engine. */
const most = 5;
/** The most that is offered at a time. */
const offers = 6;

/** Words as the engine tells them: letters between anything else, in lower case. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/\p{Alphabetic}+/gu)].map(([word]) => word.toLowerCase());
}

/** A prompt without the tags that are not drawn, such as `<lora:name:0.8>`. */
function withoutTags(prompt: string): string {
  return prompt.replace(/<[\p{Alphabetic}\p{N}_]+:[^>]+>/gu, "");
}

/**
 * The words of a prompt that a model was not taught, by the rule that the engine warns by once it has made the picture;
 * the first few. Without phrases nothing is known of what it knows.
 */
export function untaught(prompt: string, phrases: readonly string[]): string[] {
  if (phrases.length === 0) return [];
  const known = new Set(phrases.flatMap(wordsOf));
  return [...new Set(wordsOf(withoutTags(prompt)).filter((word) => !known.has(word)))].slice(0, most);
}

/** A prompt without a word at its end that may become one that the model was taught. */
export function withoutUnfinished(prompt: string, phrases: readonly string[]): string {
  const [typed] = /\p{Alphabetic}+$/u.exec(prompt) ?? [];
  const start = typed?.toLowerCase();
  const isBegun = start !== undefined && phrases.flatMap(wordsOf).some((word) => word.startsWith(start));
  return isBegun ? prompt.slice(0, -start.length) : prompt;
}

/** What can stand in the place of a part of a prompt. */
export interface Completion {
  readonly from: number;
  readonly to: number;
  readonly offers: readonly string[];
}

/**
 * How the prompt may go on at the caret: phrases that begin with the last few words, the longest match first, then words
 * that begin as the last one does. Nothing within a word, or where there is nothing to add.
 */
export function complete(prompt: string, caret: number, phrases: readonly string[]): Completion | undefined {
  if (/^\p{Alphabetic}/u.test(prompt.slice(caret))) return undefined;
  // What is typed since the last sign that ends a phrase.
  const [typed] = /[\p{Alphabetic}\p{N}' -]*$/u.exec(prompt.slice(0, caret))!;
  const starts = [...typed.matchAll(/(?<![^ -])[^ -]/g)].map(({ index }) => index);
  for (const start of starts) {
    const tail = typed.slice(start);
    const found = phrases.filter((phrase) => isLonger(phrase, tail));
    const isLast = start === starts.at(-1) && !/[ -]$/.test(tail);
    const words = isLast ? phrases.flatMap(wordsOf).filter((word) => isLonger(word, tail)) : [];
    const offered = [...new Set([...found, ...words])].slice(0, offers);
    if (offered.length > 0) return { from: caret - tail.length, to: caret, offers: offered };
  }
  return undefined;
}

function isLonger(phrase: string, start: string): boolean {
  return phrase.length > start.length && phrase.toLowerCase().startsWith(start.toLowerCase());
}
