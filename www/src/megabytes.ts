/** A number of bytes in megabytes, as the page writes it. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
