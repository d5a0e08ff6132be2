// Colours to choose one from, or a colour of one's own.

interface SwatchesProps {
  readonly name: string;
  /** Each a colour, or `checker`, and what it is called. */
  readonly choices: readonly (readonly [string, string])[];
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** For the colour of one's own. */
  readonly colour: { readonly id: string; readonly label: string };
}

export function Swatches({ name, choices, value, onValue, colour: { id, label } }: SwatchesProps) {
  const isOwn = !choices.some(([choice]) => choice === value);
  return (
    <div class="swatches">
      {choices.map(([choice, title]) => (
        <label key={choice} class="swatch" title={title}>
          <input type="radio" name={name} value={choice} checked={choice === value} onChange={() => onValue(choice)} />
          <span
            class={choice === "checker" ? "checker" : ""}
            style={{ backgroundColor: choice === "checker" ? "" : choice }}
          />
          <b class="unseen">{title}</b>
        </label>
      ))}
      <input
        type="color"
        id={id}
        class={isOwn ? "chosen" : ""}
        aria-label={label}
        title={label}
        value={isOwn ? value : "#4a8fe0"}
        onInput={({ currentTarget }) => onValue(currentTarget.value)}
      />
    </div>
  );
}
