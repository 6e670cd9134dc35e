// One input of a graph: its name, type and shape, and where its elements come from.
import { FileUp } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { readNpy } from '../../../../protocol/npy.ts';
import { Button } from '../../components/button.tsx';
import { Input, Select, TextArea } from '../../components/field.tsx';
import { text } from '../../text/en.ts';
import { bytes, safeName } from '../../text/format.ts';
import { isNumeric } from './elements.ts';
import { type Port, type Source, shapeOf, usualSource } from './inputs.ts';
import { FILE_BYTES_MAX } from './limits.ts';

export interface InputRowProps {
  readonly port: Port;
  readonly open: Readonly<Record<string, number>>;
  /** Undefined: as usual. */
  readonly source: Source | undefined;
  readonly problem: string | undefined;
  readonly onChange: (source: Source) => void;
}

type Kind = 'constant' | 'ramp' | 'random' | 'json' | 'file';

export function InputRow({ port, open, source = usualSource(port), problem, onChange }: InputRowProps): ReactNode {
  const [wrongFile, setWrongFile] = useState<string>();
  const kind: Kind = source.from === 'fill' ? source.fill : source.from === 'json' ? 'json' : 'file';
  const kinds: readonly Kind[] = isNumeric(port.type)
    ? ['constant', 'ramp', 'random', 'json', 'file']
    : ['json', 'file'];
  const name = safeName(port.name);
  const choose = (next: string): void => {
    setWrongFile(undefined);
    if (next === 'file') onChange({ from: 'no-file' });
    else if (next === 'json') onChange({ from: 'json', json: '[]' });
    else if (next === 'constant' || next === 'ramp' || next === 'random') {
      onChange({ from: 'fill', fill: next, value: source.from === 'fill' ? source.value : '1' });
    }
  };
  const shown = useRef(true);
  useEffect(() => {
    shown.current = true;
    return () => {
      shown.current = false;
    };
  }, []);
  const read = async (file: File): Promise<void> => {
    try {
      if (file.size > FILE_BYTES_MAX) throw new RangeError(text.try.fileTooLarge);
      const { type, dims, data } = readNpy(new Uint8Array(await file.arrayBuffer()));
      // Another model may have been chosen meanwhile, or another person have signed in.
      if (!shown.current) return;
      setWrongFile(undefined);
      onChange({ from: 'file', name: file.name, type, dims, data });
    } catch (error) {
      setWrongFile(error instanceof Error ? error.message : String(error));
    }
  };
  const told = wrongFile ?? problem;
  return (
    <div className="flex flex-col gap-1.5 border-line border-b py-2.5 last:border-b-0">
      <div className="flex min-w-0 flex-wrap items-baseline gap-x-2">
        {/* Names of a generator's inputs differ at their ends. */}
        <bdi className="break-all font-mono text-sm">{name}</bdi>
        <span className="tabular ml-auto shrink-0 text-faint text-xs">
          {port.type} [{shapeOf(port, open).join(', ')}]
        </span>
      </div>
      <div className="flex flex-wrap items-start gap-2">
        <Select
          className="w-32"
          aria-label={text.try.fillOf(name)}
          value={kind}
          onChange={choose}
          options={kinds.map((value) => ({ value, label: text.try.fills[value] }))}
        />
        {kind === 'file' ? (
          <FileField name={name} source={source} onFile={(file) => void read(file)} />
        ) : source.from === 'json' ? (
          <TextArea
            rows={2}
            aria-label={text.try.valueOf(name)}
            value={source.json}
            onChange={({ target }) => onChange({ from: 'json', json: target.value })}
            className="min-w-40 flex-1 font-mono text-xs"
          />
        ) : (
          source.from === 'fill' && (
            <span className="w-24">
              <Input
                inputMode="decimal"
                aria-label={text.try.valueOf(name)}
                value={source.value}
                onChange={({ target }) => onChange({ ...source, value: target.value })}
              />
            </span>
          )
        )}
      </div>
      {told !== undefined && (
        <p role="alert" className="text-bad text-xs">
          {told}
        </p>
      )}
    </div>
  );
}

function FileField({
  name,
  source,
  onFile,
}: {
  readonly name: string;
  readonly source: Source;
  readonly onFile: (file: File) => void;
}): ReactNode {
  const input = useRef<HTMLInputElement>(null);
  return (
    <span className="flex min-w-0 items-center gap-2">
      <Button icon={<FileUp />} onClick={() => input.current?.click()}>
        {text.try.chooseFile}
      </Button>
      {source.from === 'file' && (
        <span className="min-w-0 truncate text-muted text-xs">
          <bdi>{safeName(source.name)}</bdi> · [{source.dims.join(', ')}] · {bytes(source.data.byteLength)}
        </span>
      )}
      <input
        ref={input}
        type="file"
        accept=".npy"
        hidden
        aria-label={text.try.fileOf(name)}
        onChange={({ target }) => {
          const [file] = target.files ?? [];
          target.value = '';
          if (file !== undefined) onFile(file);
        }}
      />
    </span>
  );
}
