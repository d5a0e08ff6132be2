// The files of a drop or a picker, those in folders with their paths, and by what they can be read at a later visit.

/** What was chosen. */
export interface Chosen {
  readonly files: readonly File[];
  /** What leads to files and folders again, by their names; where the browser gives that. */
  readonly handles: ReadonlyMap<string, FileSystemHandle>;
}

/** What TypeScript does not know of yet: Chromium has it. */
interface LastingHandle {
  queryPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
  requestPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
}
interface LastingItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}
interface Pickers {
  showOpenFilePicker?(options: { multiple: boolean }): Promise<FileSystemFileHandle[]>;
  showDirectoryPicker?(): Promise<FileSystemDirectoryHandle>;
}

/** The browser's pickers whose files can be read again at a later visit; not there in every browser. */
const { showOpenFilePicker, showDirectoryPicker } = globalThis as Pickers;

/** What asks for files, or for a folder, if this browser has a picker whose choice lasts. */
export function lastingPicker(what: "files" | "folder"): (() => Promise<Chosen>) | undefined {
  if (what === "files") return showOpenFilePicker && (async () => read(await showOpenFilePicker({ multiple: true })));
  return showDirectoryPicker && (async () => read([await showDirectoryPicker()]));
}

/** Every file of a drop. One that lies in a folder is named by its path, as `webkitRelativePath` is for inputs only. */
export async function droppedFiles({ items }: DataTransfer): Promise<Chosen> {
  // The items are gone once the event is over, entries and handles are not.
  const all = [...items];
  const handles = all.map((item) => (item as LastingItem).getAsFileSystemHandle?.().catch(() => null));
  const entries = all.flatMap((item) => item.webkitGetAsEntry() ?? []);
  const files = (await Promise.all(entries.map(filesOf))).flat();
  const lasting = (await Promise.all(handles)).flatMap((handle) => handle ?? []);
  return { files, handles: byName(lasting) };
}

/** Whether what handles lead to may be read, which the browser may ask the visitor for: call it in a click. */
export async function mayRead(handles: readonly FileSystemHandle[]): Promise<boolean> {
  for (const handle of handles as readonly LastingHandle[]) {
    const granted = (await handle.queryPermission?.({ mode: "read" })) ?? "granted";
    if (granted !== "granted" && (await handle.requestPermission?.({ mode: "read" })) !== "granted") return false;
  }
  return true;
}

/** The files that handles lead to. */
export async function read(handles: readonly FileSystemHandle[]): Promise<Chosen> {
  const files = (await Promise.all(handles.map((handle) => filesAt(handle)))).flat();
  return { files, handles: byName(handles) };
}

const byName = (handles: readonly FileSystemHandle[]): ReadonlyMap<string, FileSystemHandle> =>
  new Map(handles.map((handle) => [handle.name, handle]));

async function filesAt(handle: FileSystemHandle, folder = ""): Promise<File[]> {
  const path = folder + handle.name;
  if (handle.kind === "file") return [named(await (handle as FileSystemFileHandle).getFile(), path)];
  const inside: Promise<File[]>[] = [];
  for await (const each of (handle as FileSystemDirectoryHandle).values()) inside.push(filesAt(each, `${path}/`));
  return (await Promise.all(inside)).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isDirectory) {
    const entries = await entriesOf(entry as FileSystemDirectoryEntry);
    return (await Promise.all(entries.map(filesOf))).flat();
  }
  const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
  return [named(file, entry.fullPath.slice(1))];
}

function named(file: File, path: string): File {
  return path === file.name ? file : new File([file], path);
}

/** What is in a folder, which is given in portions and ends with an empty one. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
