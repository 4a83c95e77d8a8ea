// One namespace for each instruction-set level.
//
// The same sources are compiled several times, with different target flags, into one binary. Were two of those
// compilations to emit the same inline function, the linker would keep either copy, and a processor without AVX-512
// could be handed AVX-512 code. So everything that is compiled for a level lives in a namespace of that level, and no
// header of the standard library that would leave out-of-line templates behind is used there. The script
// cpp/tests/check_symbols.py reads the object files and proves it.
#pragma once

#ifndef SCOREMATCH_LEVEL
#error "SCOREMATCH_LEVEL is set by the build: baseline, v3, v4 or portable"
#endif

#define SCOREMATCH_BEGIN_LEVEL \
    namespace scorematch {     \
    inline namespace SCOREMATCH_LEVEL {
#define SCOREMATCH_END_LEVEL \
    }                        \
    }

// The level's name as a string.
#define SCOREMATCH_NAME(level) SCOREMATCH_QUOTE(level)
#define SCOREMATCH_QUOTE(level) #level
