/** Whether a file can be the `bootstrap` of a function on `provided.al2023`: what its ELF headers say. */

/** What AWS Lambda runs functions on: https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html. */
const GLIBC = [2, 34];
const GCC = [11];

export type Architecture = 'x86_64' | 'arm64';

/** `e_machine` of an architecture, and the dynamic linker that programs of it ask for. */
const MACHINES: Record<Architecture, { readonly machine: number; readonly linker: string }> = {
  x86_64: { machine: 62, linker: '/lib64/ld-linux-x86-64.so.2' },
  arm64: { machine: 183, linker: '/lib/ld-linux-aarch64.so.1' },
};

/** The shared libraries of glibc and GCC; `provided.al2023` has few others. */
const LIBRARIES = /^(lib(c|m|rt|dl|util|pthread|resolv)\.so\.\d|libgcc_s\.so\.1|ld-linux-[\w-]+\.so\.\d)$/;

/** What a file that is no ELF begins with, in hexadecimal. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^$/, 'is empty'],
  [/^(cffaedfe|cefaedfe|feedfacf|feedface|cafebabe|bebafeca)/, 'is a program for macOS'],
  [/^4d5a/, 'is a program for Windows'],
  [/^2321/, 'is a script'],
  [/^(1f8b|504b)/, 'is an archive'],
];

/** A program needs some dozen; damaged headers would have it go on for ever. */
const MOST_VERSIONS = 10_000;

/** Types of program headers and of dynamic entries: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html. */
const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3 };
const DT = { NEEDED: 1n, STRTAB: 5n, VERNEED: 0x6ffffffen, VERNEEDNUM: 0x6fffffffn };

/**
 * Says why Lambda cannot run a file as a function of this architecture.
 *
 * @returns what is wrong, as the rest of a sentence about the file; nothing when it can run
 */
export function unfit(file: Buffer, architecture: Architecture): string | undefined {
  const start = file.subarray(0, 4).toString('hex');
  if (start !== '7f454c46') return OTHERS.find(([begins]) => begins.test(start))?.[1] ?? 'is no ELF program';
  try {
    return unfitElf(file, architecture);
  } catch (error) {
    if (error instanceof RangeError) return 'is cut short, or its ELF headers are damaged';
    throw error;
  }
}

function unfitElf(file: Buffer, architecture: Architecture): string | undefined {
  const { machine, linker } = MACHINES[architecture];
  if (file.readUInt8(4) !== 2 || file.readUInt8(5) !== 1) return 'is not a 64-bit little-endian program';
  // System V or GNU/Linux: what others write there, they write for their own kernels.
  if (![0, 3].includes(file.readUInt8(7))) return `is for another system than Linux (ELF OSABI ${file.readUInt8(7)})`;
  const its = file.readUInt16LE(18);
  if (its !== machine) {
    const name = Object.entries(MACHINES).find(([, known]) => known.machine === its)?.[0];
    return `is for ${name ?? `another processor (ELF machine ${its})`}, and \`architecture\` is ${architecture}`;
  }
  const type = file.readUInt16LE(16);
  if ((type !== 2 && type !== 3) || file.readBigUInt64LE(24) === 0n) return 'is an ELF file, but no program';

  const headers = programHeaders(file);
  const loaded = headers.filter(({ type }) => type === PT.LOAD);
  if (loaded.length === 0) return 'is an ELF file, but no program';
  if (headers.some(({ offset, size }) => offset + size > file.length)) throw new RangeError('a segment is cut short');
  if (!loaded.every(isLoadable)) throw new RangeError('a segment cannot be loaded');
  const entry = file.readBigUInt64LE(24);
  if (!loaded.some((segment) => segment.flags & EXECUTABLE && isAt(segment, entry))) throw new RangeError('no entry');
  const interpreters = headers.filter(({ type }) => type === PT.INTERP);
  const [interpreter] = interpreters;
  const { needed, versions } = dynamicNeeds(file, headers);
  if (interpreter) {
    const path = file.toString('latin1', interpreter.offset, interpreter.offset + interpreter.size);
    if (interpreters.length > 1 || path.indexOf('\0') !== path.length - 1) throw new RangeError('a damaged PT_INTERP');
    if (path !== `${linker}\0`) return `needs the dynamic linker ${path.slice(0, -1)}, which Lambda does not have`;
  } else if (needed.length > 0) return 'is a shared library, and no program';
  const foreign = needed.find((library) => !LIBRARIES.test(library));
  if (foreign !== undefined) return `needs the library ${foreign}, which Lambda does not have`;
  const newer = versions.find((version) => !isThere(version));
  return newer && `needs ${newer}, and Lambda has glibc ${GLIBC.join('.')}`;
}

/** Whether Amazon Linux 2023 has this version of its libraries' symbols. */
function isThere(version: string): boolean {
  const [, library, number = ''] = /^(GLIBC|GCC)_(\d+(?:\.\d+)*)$/.exec(version) ?? [];
  if (library === undefined) return false;
  const parts = number.split('.').map(Number);
  const most = library === 'GLIBC' ? GLIBC : GCC;
  for (const [i, limit] of most.entries()) {
    const part = parts[i] ?? 0;
    if (part !== limit) return part < limit;
  }
  return parts.slice(most.length).every((part) => part === 0);
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: bigint;
  /** In the file, in bytes. */
  readonly size: number;
  /** In memory, in bytes; what the file does not have is zero. */
  readonly memory: bigint;
}

/** `PF_X` of a segment. */
const EXECUTABLE = 1;
const PAGE = 4096n;
/** More than any function needs: the kernel maps nothing beyond, or refuses it. */
const MOST_MEMORY = 1n << 32n;
const MOST_ADDRESS = 1n << 47n;

/** Whether the kernel can map the segment. */
const isLoadable = ({ offset, address, size, memory }: ProgramHeader) =>
  size > 0 &&
  BigInt(size) <= memory &&
  memory < MOST_MEMORY &&
  address + memory < MOST_ADDRESS &&
  BigInt(offset) % PAGE === address % PAGE;

const isAt = ({ address, size }: ProgramHeader, wanted: bigint) => address <= wanted && wanted < address + BigInt(size);

function programHeaders(file: Buffer): ProgramHeader[] {
  const [start, size, count] = [offsetAt(file, 32), file.readUInt16LE(54), file.readUInt16LE(56)];
  if (size !== 56) throw new RangeError('program headers of another size');
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * size;
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: offsetAt(file, at + 8),
      address: file.readBigUInt64LE(at + 16),
      size: offsetAt(file, at + 32),
      memory: file.readBigUInt64LE(at + 40),
    };
  });
}

/** The shared libraries that the dynamic linker will look for, and the versions of symbols that it will want in them. */
function dynamicNeeds(file: Buffer, headers: ProgramHeader[]): { needed: string[]; versions: string[] } {
  const dynamic = headers.find(({ type }) => type === PT.DYNAMIC);
  if (!dynamic) return { needed: [], versions: [] };
  const entries: [bigint, bigint][] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = file.readBigUInt64LE(at);
    if (tag === 0n) break;
    entries.push([tag, file.readBigUInt64LE(at + 8)]);
  }
  const value = (tag: bigint) => entries.find(([its]) => its === tag)?.[1];
  /** Where in the file an address of the loaded program is. */
  const inFile = (address: bigint) => {
    const segment = headers.find((header) => header.type === PT.LOAD && isAt(header, address));
    if (!segment) throw new RangeError(`no segment has the address ${address}`);
    return segment.offset + Number(address - segment.address);
  };
  const strings = value(DT.STRTAB);
  if (strings === undefined) return { needed: [], versions: [] };
  const text = (offset: number) => textAt(file, inFile(strings) + offset);
  const needed = entries.filter(([tag]) => tag === DT.NEEDED).map(([, offset]) => text(Number(offset)));

  const versions: string[] = [];
  const table = value(DT.VERNEED);
  let at = table === undefined ? 0 : inFile(table);
  for (let left = Number(table === undefined ? 0n : (value(DT.VERNEEDNUM) ?? 0n)); left > 0; left--) {
    let version = at + file.readUInt32LE(at + 8);
    for (let more = file.readUInt16LE(at + 2); more > 0; more--) {
      versions.push(text(file.readUInt32LE(version + 8)));
      if (versions.length > MOST_VERSIONS) throw new RangeError('more versions than a program needs');
      version += file.readUInt32LE(version + 12);
    }
    const next = file.readUInt32LE(at + 12);
    if (next === 0) break;
    at += next;
  }
  return { needed, versions };
}

function offsetAt(file: Buffer, at: number): number {
  const value = file.readBigUInt64LE(at);
  if (value > BigInt(file.length)) throw new RangeError(`${value} is beyond the end of the file`);
  return Number(value);
}

function textAt(file: Buffer, at: number): string {
  const end = file.indexOf(0, at);
  if (at < 0 || at >= file.length || end === -1) throw new RangeError(`no text ends after ${at}`);
  return file.toString('utf8', at, end);
}
