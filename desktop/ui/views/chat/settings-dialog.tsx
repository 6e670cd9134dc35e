// How a conversation is held: its system prompt, and how answers are drawn. What is not set stays as the model has it.
import { type ReactNode, useState } from 'react';
import type { ConversationSettings } from '../../../../protocol/api/control/conversations.ts';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Input, TextArea } from '../../components/field.tsx';
import { Slider } from '../../components/slider.tsx';
import { Switch } from '../../components/switch.tsx';
import { text } from '../../text/en.ts';
import type { Manner } from './drafts.ts';

export interface SettingsDialogProps {
  readonly manner: Manner;
  readonly onSave: (changes: Pick<Manner, 'system' | 'settings'>) => Promise<unknown>;
  readonly onClose: () => void;
}

/** What a slider begins at when it is switched on. */
const USUAL = { temperature: 0.7, topP: 0.95 } as const;

/** Mounted while it is open. */
export function SettingsDialog({ manner, onSave, onClose }: SettingsDialogProps): ReactNode {
  const [system, setSystem] = useState(manner.system);
  const [temperature, setTemperature] = useState(manner.settings.temperature);
  const [topP, setTopP] = useState(manner.settings.topP);
  const [maxTokens, setMaxTokens] = useState(String(manner.settings.maxTokens ?? ''));
  const [seed, setSeed] = useState(String(manner.settings.seed ?? ''));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const wrongTokens = maxTokens.trim() !== '' && !/^[1-9]\d{0,8}$/.test(maxTokens.trim());
  const wrongSeed = seed.trim() !== '' && !/^-?\d{1,15}$/.test(seed.trim());
  const save = async (): Promise<void> => {
    if (wrongTokens || wrongSeed) return;
    setBusy(true);
    setProblem(undefined);
    const settings: ConversationSettings = {
      ...(temperature === undefined ? {} : { temperature }),
      ...(topP === undefined ? {} : { topP }),
      ...(maxTokens.trim() === '' ? {} : { maxTokens: Number(maxTokens) }),
      ...(seed.trim() === '' ? {} : { seed: Number(seed) }),
    };
    try {
      await onSave({ system, settings });
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={text.chat.settings}
      description={text.chat.settingsText}
      footer={
        <>
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button kind="primary" busy={busy} onClick={() => void save()}>
            {text.common.save}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-5">
        <Field label={text.chat.system} hint={text.chat.systemHint}>
          <TextArea rows={4} value={system} onChange={({ target }) => setSystem(target.value)} />
        </Field>
        <div className="grid gap-5 sm:grid-cols-2">
          <Drawn
            label={text.chat.temperature}
            hint={text.chat.temperatureHint}
            value={temperature}
            usual={USUAL.temperature}
            min={0}
            max={2}
            onChange={setTemperature}
          />
          <Drawn
            label={text.chat.topP}
            hint={text.chat.topPHint}
            value={topP}
            usual={USUAL.topP}
            min={0.05}
            max={1}
            onChange={setTopP}
          />
          <Field
            label={text.chat.maxTokens}
            hint={text.chat.maxTokensHint}
            error={wrongTokens ? text.chat.wholeNumber : undefined}
          >
            <Input inputMode="numeric" value={maxTokens} onChange={({ target }) => setMaxTokens(target.value)} />
          </Field>
          <Field label={text.chat.seed} hint={text.chat.seedHint} error={wrongSeed ? text.chat.wholeNumber : undefined}>
            <Input inputMode="numeric" value={seed} onChange={({ target }) => setSeed(target.value)} />
          </Field>
        </div>
        {problem !== undefined && <Failed compact title={text.chat.settingsFailed} error={problem} />}
      </div>
    </Dialog>
  );
}

/** A number that may be left to the model. */
function Drawn({
  label,
  hint,
  value,
  usual,
  min,
  max,
  onChange,
}: {
  readonly label: string;
  readonly hint: string;
  readonly value: number | undefined;
  readonly usual: number;
  readonly min: number;
  readonly max: number;
  readonly onChange: (value: number | undefined) => void;
}): ReactNode {
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <div className="flex items-center gap-2">
        <span className="font-medium text-sm">{label}</span>
        <span className="tabular ml-auto text-muted text-sm">
          {value === undefined ? text.chat.asModel : value.toFixed(2)}
        </span>
        <Switch
          label={text.chat.setIt(label)}
          checked={value !== undefined}
          onChange={(set) => onChange(set ? usual : undefined)}
        />
      </div>
      <Slider
        label={label}
        value={value ?? usual}
        disabled={value === undefined}
        min={min}
        max={max}
        step={0.05}
        onChange={(next) => onChange(Math.round(next * 100) / 100)}
      />
      <p className="text-muted text-xs">{hint}</p>
    </div>
  );
}
