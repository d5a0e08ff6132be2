// An origin private file system in memory, as much of it as the store uses.

class FakeFile {
  kind = "file";
  bytes = new Uint8Array();

  constructor(disk) {
    this.disk = disk;
  }

  async getFile() {
    return new Blob([this.bytes]);
  }

  async createSyncAccessHandle() {
    const { disk } = this;
    disk.open++;
    return {
      write: (bytes, { at }) => {
        const taken = bytes.subarray(0, disk.lives() ? disk.maxWrite : bytes.length / 2);
        this.#resize(Math.max(this.bytes.length, at + taken.length));
        this.bytes.set(taken, at);
        disk.mustLive();
        return taken.length;
      },
      truncate: (size) => {
        disk.step();
        this.#resize(size);
      },
      flush: () => disk.flushed++,
      close: () => disk.open--,
    };
  }

  #resize(length) {
    const used = this.disk.used() - this.bytes.length + length;
    if (length > this.bytes.length && used > this.disk.quota) throw new DOMException("full", "QuotaExceededError");
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes.subarray(0, length));
    this.bytes = bytes;
  }
}

class FakeFolder {
  kind = "directory";
  entries = new Map();

  constructor(disk) {
    this.disk = disk;
  }

  async getDirectoryHandle(name, options) {
    return this.#entry(name, FakeFolder, options);
  }

  async getFileHandle(name, options) {
    return this.#entry(name, FakeFile, options);
  }

  async removeEntry(name) {
    this.disk.step();
    if (!this.entries.delete(name)) throw new DOMException("nothing there", "NotFoundError");
  }

  async *[Symbol.asyncIterator]() {
    yield* [...this.entries];
  }

  #entry(name, Kind, { create = false } = {}) {
    if (!this.entries.has(name)) {
      if (!create) throw new DOMException("nothing there", "NotFoundError");
      this.entries.set(name, new Kind(this.disk));
    }
    return this.entries.get(name);
  }
}

/** The disk under the file system: its quota, and how much it takes in one write. */
export class FakeDisk {
  quota = Infinity;
  maxWrite = Infinity;
  /** Handles that are not closed. */
  open = 0;
  flushed = 0;
  /** How many more changes the disk makes before the power fails: in the middle of a write, or before anything else. */
  power = Infinity;
  root = new FakeFolder(this);

  used(folder = this.root) {
    return [...folder.entries.values()].reduce((sum, entry) => sum + (entry.bytes?.length ?? this.used(entry)), 0);
  }

  lives() {
    return this.power-- > 0;
  }

  mustLive() {
    if (this.power < 0) throw new Error("the power has failed");
  }

  step() {
    this.lives();
    this.mustLive();
  }

  /** The entry at a path. */
  at(path) {
    return path.split("/").reduce((folder, name) => folder?.entries.get(name), this.root);
  }

  /** Makes `navigator.storage` this disk's. */
  install() {
    const storage = { getDirectory: async () => this.root };
    Object.defineProperty(globalThis, "navigator", { configurable: true, value: { storage } });
  }
}
