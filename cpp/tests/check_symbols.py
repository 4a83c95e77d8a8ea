"""Checks what cpp/include/scorematch/level.hpp promises of the object files of one instruction-set level.

    check_symbols.py LEVEL OBJECT...
    check_symbols.py --self-test COMPILER

All levels end up in one binary. The linker keeps one copy of each symbol that several objects define, whichever comes
first, so an inline function outside the level's own namespace could reach a processor in another level's instructions.
And a static initialiser runs when the library is loaded, before anybody has asked the processor what it can do. So an
object of a level

* defines no symbol that other objects can see, but in its own namespace scorematch::LEVEL;
* runs nothing when it is loaded.

The self-test compiles small offenders, and fails unless each is caught.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# A pointer to the C++ runtime's personality function, for unwinding: data, the same in every object.
HARMLESS = {"DW.ref.__gxx_personality_v0"}

# Where the addresses of functions are kept that run when a library is loaded or unloaded.
START_UP_SECTIONS = re.compile(r"\.(init_array|preinit_array|fini_array|ctors|dtors|init|fini)\b")
START_UP_FUNCTIONS = re.compile(r"_GLOBAL__(sub_)?[ID]_|__cxx_global_(var_init|array_dtor)|__tls_init$")


def own_namespace(level: str) -> re.Pattern[str]:
    """Match the mangled names of what scorematch::LEVEL holds (Itanium C++ ABI, 5.1)."""
    special = "(T[VTIS]|GV|GR|Th[n0-9]+_|Tv[n0-9]+_[n0-9]+_|TC)?"  # tables, type information, guards, thunks
    return re.compile(rf"_Z{special}Z*N[rVKRO]*10scorematch{len(level)}{level}")


def offences(level: str, path: Path) -> list[str]:
    """What is wrong with one object file, one line each."""
    own = own_namespace(level)
    found = []
    for line in run("nm", "--format=posix", str(path)).splitlines():
        name, kind = line.split()[:2]
        if START_UP_FUNCTIONS.search(name):
            found.append(f"runs at load: {demangled(name)}")
        # Capitals, and u (unique) and i (chosen at load): seen by other objects. U, v, w: wanted, not defined here.
        visible = (kind.isupper() and kind != "U") or kind in "ui"
        if visible and name not in HARMLESS and not own.match(name):
            found.append(f"defined outside scorematch::{level} (nm says {kind}): {demangled(name)}")
    sections = set(START_UP_SECTIONS.findall(run("objdump", "--section-headers", str(path))))
    found += [f"has a section .{section}, for functions that run at load or unload" for section in sorted(sections)]
    return found


def demangled(name: str) -> str:
    return run("c++filt", name).strip()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def check(level: str, paths: list[Path]) -> int:
    if not paths:
        sys.exit(f"no object files of level {level} were given")
    failures = [f"{path}: {offence}" for path in paths for offence in offences(level, path)]
    print("\n".join(failures) or f"{len(paths)} object files of level {level}: all is in its namespace")
    return bool(failures)


LEVEL_CODE = "namespace scorematch { inline namespace v3 { %s } }"

INNOCENT = {
    "functions, templates, virtual functions and constant tables of the level": LEVEL_CODE
    % """
        struct Base { virtual ~Base() {} virtual int f() const noexcept { return 1; } };
        struct Other { virtual ~Other() {} virtual int g() { return 2; } };
        struct Derived : Base, Other { int g() override { return 3; } };
        template <class T> T twice(T x) { return x + x; }
        template int twice(int);
        int external(Base* base) { static const int* const once = new int(base->f()); return *once; }
        Base* make() { return new Derived(); }
        struct Table { int (*twice)(int); };
        extern constinit const Table table{twice<int>};
        namespace { int hidden() { throw 1; } }
        int call_hidden() { return hidden(); }
    """,
}

OFFENDERS = {
    "a template of the standard library": "#include <vector>\n"
    + LEVEL_CODE % "void grow(std::vector<long>& list) { list.resize(99); }",
    "an inline function outside the namespace": "namespace scorematch { inline int shared(int x) { return x + 1; } }"
    + LEVEL_CODE % "int (*address())(int) { return shared; }",
    "a function of C linkage": LEVEL_CODE % 'extern "C" int plain() { return 1; }',
    "a function of another level": "namespace scorematch { namespace v4 { int stray() { return 1; } } }",
    "a level whose name begins alike": "namespace scorematch { namespace v30 { int stray() { return 1; } } }",
    "a static variable of an inline function (unique symbol)": "inline int& counter() { static int n; return n; }"
    + LEVEL_CODE % "int count() { return ++counter(); }",
    "a variable outside the namespace": "double tolerance = 1e-3;",
    "a static initialiser": LEVEL_CODE % "int compute(); int value = compute();",
    "a hidden static initialiser": LEVEL_CODE % "namespace { struct S { S(); ~S(); }; S object; }",
    "a function with the constructor attribute": LEVEL_CODE
    % "void work(); __attribute__((constructor)) static void early() { work(); }",
}


def self_test(compiler: str) -> int:
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder, "case.cpp"), Path(folder, "case.o")
        for cases, guilty in ((INNOCENT, False), (OFFENDERS, True)):
            for what, code in cases.items():
                source.write_text(code)
                run(compiler, "-std=c++20", "-O1", "-fPIC", "-c", str(source), "-o", str(compiled))
                found = offences("v3", compiled)
                if bool(found) != guilty:
                    failures.append(f"{what}: {'passed unseen' if guilty else found}")
    print("\n".join(failures) or f"{len(OFFENDERS)} offenders caught, {len(INNOCENT)} innocent let go")
    return bool(failures)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--self-test":
        sys.exit(self_test(sys.argv[2]))
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(check(sys.argv[1], [Path(argument) for argument in sys.argv[2:]]))
