// In the classic script, what `import.meta.url` is in the modules of dist/internal/page that name assets.
export const scriptUrl = globalThis.document?.currentScript?.src && new URL("internal/page/", document.currentScript.src).href;
