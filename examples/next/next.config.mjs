/** Written as files, to be served by any server. Leave it out for pages that are rendered on one. */
export default { output: "export" };
