// The files of a drop, those in folders with their paths.

/**
 * Every file of a drop. One that lies in a folder is named by its path, as
 * `webkitRelativePath` is there for files of an input only.
 */
export async function droppedFiles({ items }: DataTransfer): Promise<File[]> {
  // The items are gone once the event is over, the entries are not.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isDirectory) {
    const entries = await entriesOf(entry as FileSystemDirectoryEntry);
    return (await Promise.all(entries.map(filesOf))).flat();
  }
  const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
  const path = entry.fullPath.slice(1);
  return [path === file.name ? file : new File([file], path)];
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
