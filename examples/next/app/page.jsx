import { Picture } from "./picture.jsx";

// Rendered on the server, or when the app is built.
export default function Page() {
  return (
    <main>
      <h1>Next</h1>
      <Picture prompt="a red apple" />
    </main>
  );
}
