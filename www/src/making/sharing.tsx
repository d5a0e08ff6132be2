// Links to how a picture is made: copied here, and opened from somebody else once the visitor agrees.

import { batch, signal } from "@preact/signals";
import type { Recipe } from "glassine";
import { models } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { Dialog } from "../panels/dialog.tsx";
import { dialog } from "../panels/dialogs.ts";
import { note } from "../panels/notices.tsx";
import { active } from "./control.ts";
import { loras } from "./loras.ts";
import { fromFragment, type Link, linkable, type LinkedModel, publicUrl, toFragment } from "./link.ts";
import { chooseModel, info, loadModel, modeNames, modelName } from "./model.ts";
import { cancelAll } from "./queue.ts";
import { linked, next } from "./settings.ts";
import { fromText, inWords, lacksPictures } from "./steered.ts";

// Out

/** Puts a link to how a layer was made on the clipboard. */
export async function copyLinkOf(recipe: Recipe): Promise<void> {
  await copy(recipe, recipe.model === `sha256:${info.value?.sha256}`);
}

/** The same of what the prompt bar says. */
export async function copyLink(): Promise<void> {
  const { value: wish } = next;
  if (!wish) return;
  const { mode, prompt, seed, size, options } = wish;
  const controls = active.value.map(({ by, scale, start, end }) => ({ ...(by.file && { controlnet: by.name }), scale, start, end }));
  const steering = { ...(loras.value.length > 0 && { loras: loras.value }), controls };
  await copy({ ...options, ...steering, prompt, mode, seed, ...size }, true);
}

async function copy(recipe: Recipe, isOfThisModel: boolean): Promise<void> {
  const page = location.origin + location.pathname;
  const found = isOfThisModel ? findModel() : Promise.resolve(undefined);
  const said = linkable(recipe);
  const link = found.then((from) => page + toFragment({ recipe: said, from }));
  await writeText(link);
  const from = await found;
  const isSteered = recipe["loras"] !== undefined || said.steeredBy !== undefined;
  const lacks = isSteered ? " LoRAs and pictures that steer are files of yours, and are not in it." : "";
  note({ kind: "done", title: "The link is on the clipboard", text: whatItSays(from, isOfThisModel) + lacks });
}

/** The text is handed over as a promise where that works, since browsers want to be asked during the click. */
async function writeText(text: Promise<string>): Promise<void> {
  const { clipboard } = navigator;
  const blob = text.then((text) => new Blob([text], { type: "text/plain" }));
  await clipboard.write([new ClipboardItem({ "text/plain": blob })]);
}

/** Where others find the model that is loaded, if they can. */
async function findModel(): Promise<LinkedModel | undefined> {
  const name = modelName.value;
  const stored = (await models.list()).find((model) => model.name === name);
  if (stored?.builtIn) return { model: name, bytes: stored.bytes };
  const url = publicUrl(stored ? (stored.origin ?? "") : new URL(name, document.baseURI).href);
  if (url === undefined) return undefined;
  const { totalBytes } = await models.estimate(name);
  return { model: url, bytes: totalBytes };
}

function whatItSays(from: LinkedModel | undefined, isOfThisModel: boolean): string {
  const says = "It says the prompt and the settings";
  if (from) return `${says}, and where the model is: ${from.model === "mini" ? "in this page" : from.model}.`;
  const why = isOfThisModel ? "was made of files on this device and has no address" : "is not the one that is loaded";
  return `${says}, and no model: that one ${why}.`;
}

// In

/** A link that was opened, with what the visitor is asked. */
interface Offer {
  readonly link: Link;
  /** The model as it is stored here, if it is. */
  readonly storedAs: string | undefined;
  /** How large the download is, as far as it is known. */
  readonly bytes: number | undefined;
  /** What was found out by asking. */
  readonly remark: string;
}

const offer = signal<Offer | undefined>(undefined);
/** Settles with whether the link brings another model. */
let answered = Promise.withResolvers<boolean>();

/**
 * Asks what to do with the link in the address, if there is one: until that is answered, nothing is fetched for it. What
 * cannot be read is said. Gives whether there is another model now, to be loaded.
 */
export async function openLink(): Promise<boolean> {
  try {
    const link = fromFragment(location.hash);
    return link ? await ask(link) : false;
  } catch (error) {
    note({ kind: "warning", title: `The link cannot be used: ${(error as Error).message}` });
    return false;
  } finally {
    // What is answered is not asked again when the page is loaded anew.
    if (location.hash) history.replaceState(history.state, "", location.pathname + location.search);
  }
}

/** Opens links that are followed while the page is open. */
export function followLinks(): void {
  addEventListener("hashchange", () => {
    void openLink().then((isOther) => {
      if (!isOther) return;
      cancelAll();
      loadModel().catch(() => {});
    });
  });
}

async function ask(link: Link): Promise<boolean> {
  const { from } = link;
  const all = await models.list().catch(() => []);
  const stored = all.find(({ complete, origin, name }) => complete && (origin ?? name) === from?.model);
  answered = Promise.withResolvers();
  batch(() => {
    offer.value = { link, storedAs: stored?.name, bytes: from?.bytes, remark: "" };
    dialog.value = "link";
  });
  return answered.promise;
}

const steeredIn = ({ recipe }: Link) => fromText(recipe.steeredBy ?? "") ?? [];

/** Opens the link: with a model that is to be fetched once its size is what was said. */
async function agree(asked: Offer): Promise<void> {
  const { link, storedAs, bytes } = asked;
  const model = storedAs ?? link.from?.model;
  if (model !== undefined && storedAs === undefined) {
    const found = await models.estimate(model).catch((error: unknown) => String(error));
    if (typeof found === "string") return remark(asked, bytes, `It cannot be fetched: ${found}`);
    if (bytes === undefined || found.totalBytes > bytes * tolerance) {
      return remark(asked, found.totalBytes, bytes === undefined ? "" : "That is more than the link says.");
    }
  }
  const isOther = model !== undefined && model !== modelName.value;
  if (isOther) chooseModel(model);
  answered.resolve(isOther);
  linked.value = link.recipe;
  dialog.value = undefined;
  const lacks = lacksPictures(steeredIn(link));
  if (lacks.length > 0) note({ kind: "warning", title: "The link has brought no pictures", text: lacks.join(" ") });
}

/** How much more a model may be than its link says. */
const tolerance = 1.01;

function remark(asked: Offer, bytes: number | undefined, remark: string): void {
  if (offer.value === asked) offer.value = { ...asked, bytes, remark };
}

function close(): void {
  offer.value = undefined;
  answered.resolve(false);
}

export function LinkDialog() {
  return (
    <Dialog name="link" title="Open what a link brings?" onClose={close}>
      {offer.value && <Question asked={offer.value} />}
    </Dialog>
  );
}

function Question({ asked }: { asked: Offer }) {
  const { link, storedAs, bytes, remark } = asked;
  const { prompt, mode, steeredBy: _, ...others } = link.recipe;
  const steered = steeredIn(link);
  const { from } = link;
  const isFetched = from !== undefined && storedAs === undefined;
  const size = bytes === undefined ? "" : `${megabytes(bytes)} MB`;
  return (
    <>
      <p>
        A prompt for the bar below, which is not made before you say so: <q class="prompt">{prompt}</q>
      </p>
      <dl class="linked">
        {mode && <Said name="What" value={modeNames[mode]} />}
        {Object.entries(others).map(([name, value]) => (
          <Said key={name} name={name} value={value} />
        ))}
        {steered.length > 0 && <Said name="Steered by" value={steered.map(inWords).join("; ")} />}
      </dl>
      <p id="link-model">
        {!from && "With the model that you have: the link names none."}
        {storedAs !== undefined && `With the model ${storedAs}, which is here already: nothing is fetched.`}
        {isFetched && (
          <>
            With a model that would be fetched from <b>{new URL(from.model).host}</b>: {from.model}
            {size ? `, ${size}.` : ", which does not say how large it is."} {remark}
          </>
        )}
      </p>
      <div class="actions">
        <button type="button" class="primary" id="link-agree" onClick={() => void agree(asked)}>
          {!isFetched ? "Open" : size ? `Fetch ${size} and open` : "Ask how large it is"}
        </button>
        <button type="button" onClick={() => (dialog.value = undefined)}>
          Leave it
        </button>
      </div>
    </>
  );
}

function Said({ name, value }: { name: string; value: unknown }) {
  return (
    <div>
      <dt>{name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}</dt>
      <dd>{String(value)}</dd>
    </div>
  );
}
