/** ELF programs of a few hundred bytes, which say in their headers what the tests want them to say. */

export interface Elf {
  /** `e_machine`; default x86-64. */
  readonly machine?: number;
  /** `e_type`; default 3, a position-independent program. */
  readonly type?: number;
  /** 1 is 32 bits; default 2, 64 bits. */
  readonly class?: number;
  /** 2 is big-endian; default 1, little-endian. */
  readonly data?: number;
  /** `EI_OSABI`; default 0, System V. */
  readonly osabi?: number;
  /** Where it begins; default the first byte after the headers. 0 is nowhere. */
  readonly entry?: bigint;
  /** `PF_…` of its one segment; default 5, readable and executable. */
  readonly flags?: number;
  /** The dynamic linker that it asks for; none when it is linked statically. */
  readonly interpreter?: string;
  /** The shared libraries that it needs, each with the versions of symbols that it wants of it. */
  readonly needs?: Readonly<Record<string, readonly string[]>>;
  /** What follows the headers. */
  readonly text?: string;
}

/** Where its one segment is loaded. */
const BASE = 0x400000;
const HEADER = 64;
const PROGRAM_HEADER = 56;

/** Writes the program. Layout: header, program headers, strings, version needs, dynamic entries, text. */
export function elf(options: Elf = {}): Buffer {
  const { machine = 62, type = 3, interpreter, needs = {}, text = '', flags = 5 } = options;
  const isDynamic = Object.keys(needs).length > 0;
  const count = 1 + (interpreter ? 1 : 0) + (isDynamic ? 1 : 0);
  const stringsAt = HEADER + count * PROGRAM_HEADER;

  let strings = '\0';
  const string = (value: string) => {
    const at = strings.length;
    strings += `${value}\0`;
    return at;
  };
  const interpreterAt = interpreter ? stringsAt + string(interpreter) : 0;
  const libraries = Object.entries(needs).map(([name, versions]) => ({
    name: string(name),
    versions: versions.map(string),
  }));
  const wanting = libraries.filter(({ versions }) => versions.length > 0);

  const versions = Buffer.concat(
    wanting.map(({ name, versions }, i) => {
      const need = Buffer.alloc(16 + versions.length * 16);
      need.writeUInt16LE(1, 0);
      need.writeUInt16LE(versions.length, 2);
      need.writeUInt32LE(name, 4);
      need.writeUInt32LE(16, 8);
      need.writeUInt32LE(i === wanting.length - 1 ? 0 : need.length, 12);
      versions.forEach((version, j) => {
        need.writeUInt32LE(version, 16 + j * 16 + 8);
        need.writeUInt32LE(j === versions.length - 1 ? 0 : 16, 16 + j * 16 + 12);
      });
      return need;
    }),
  );
  const versionsAt = stringsAt + strings.length;
  const entries: [number, number][] = isDynamic
    ? [
        ...libraries.map(({ name }): [number, number] => [1, name]),
        [5, BASE + stringsAt],
        ...(wanting.length > 0 ? [[0x6ffffffe, BASE + versionsAt] as [number, number]] : []),
        ...(wanting.length > 0 ? [[0x6fffffff, wanting.length] as [number, number]] : []),
        [0, 0],
      ]
    : [];
  const dynamic = Buffer.alloc(entries.length * 16);
  entries.forEach(([tag, value], i) => {
    dynamic.writeBigUInt64LE(BigInt(tag), i * 16);
    dynamic.writeBigUInt64LE(BigInt(value), i * 16 + 8);
  });
  const dynamicAt = versionsAt + versions.length;
  const size = dynamicAt + dynamic.length + text.length;

  const header = Buffer.alloc(HEADER);
  header.write('7f454c46', 0, 'hex');
  header.writeUInt8(options.class ?? 2, 4);
  header.writeUInt8(options.data ?? 1, 5);
  header.writeUInt8(1, 6);
  header.writeUInt8(options.osabi ?? 0, 7);
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(options.entry ?? BigInt(BASE + HEADER), 24);
  header.writeBigUInt64LE(BigInt(HEADER), 32);
  header.writeUInt16LE(HEADER, 52);
  header.writeUInt16LE(PROGRAM_HEADER, 54);
  header.writeUInt16LE(count, 56);

  const segment = (kind: number, offset: number, length: number) => {
    const bytes = Buffer.alloc(PROGRAM_HEADER);
    bytes.writeUInt32LE(kind, 0);
    bytes.writeUInt32LE(flags, 4);
    bytes.writeBigUInt64LE(BigInt(offset), 8);
    bytes.writeBigUInt64LE(BigInt(BASE + offset), 16);
    bytes.writeBigUInt64LE(BigInt(BASE + offset), 24);
    bytes.writeBigUInt64LE(BigInt(length), 32);
    bytes.writeBigUInt64LE(BigInt(length), 40);
    return bytes;
  };
  return Buffer.concat([
    header,
    ...(interpreter ? [segment(3, interpreterAt, interpreter.length + 1)] : []),
    segment(1, 0, size),
    ...(isDynamic ? [segment(2, dynamicAt, dynamic.length)] : []),
    Buffer.from(strings, 'latin1'),
    versions,
    dynamic,
    Buffer.from(text, 'latin1'),
  ]);
}
