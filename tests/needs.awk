# Reads the first lines of the tests and prints make rules with the objects that each is linked
# from:
#
#     /* needs: conf/base/conf.c conf/base/fault.c -lz */     (may span several lines)
#     /* preload */                                           a library for LD_PRELOAD
#     /* helper ... */                                        linked into others, named by their needs
#
# tests/unit/x_test.c becomes B/tests/unit/x_test, tests/fuzz/x_fuzz.c B/x_fuzz, tests/lib/x_y.c
# B/tests/x-y or B/tests/x_y.so. A test without such a line is an error: make would skip it
# silently.

function object(file) { sub(/\.c$/, ".o", file); return B "/obj/" file }

function report(what) {
    print what >"/dev/stderr"
    bad = 1
}

function finish(   kind, name, target, count, words, i, objects, libs) {
    if (file == "" || helper)
        return
    name = file
    sub(/.*\//, "", name)
    sub(/\.c$/, "", name)
    if (preload) {
        print "PRELOADS += " B "/tests/" name ".so"
        print B "/tests/" name ".so: " file
        return
    }
    if (!found) {
        report(file " has no `needs:` line")
        return
    }
    objects = object(file)
    count = split(needs, words, /[ \t]+/)
    for (i = 1; i <= count; i++) {
        if (words[i] ~ /\.c$/)
            objects = objects " " object(words[i])
        else if (words[i] ~ /^-l/)
            libs = libs " " words[i]
        else if (words[i] != "")
            report(file ": needs: neither a .c file nor -lLIBRARY: `" words[i] "`")
    }
    if (file ~ /^tests\/unit\//) {
        kind = "UNITS"
        target = B "/tests/unit/" name
        libs = libs " -lcmocka"
    } else if (file ~ /^tests\/fuzz\//) {
        kind = "FUZZERS"
        target = B "/" name
    } else {
        kind = "PROGRAMS"
        gsub(/_/, "-", name)
        target = B "/tests/" name
    }
    print kind " += " target
    if (threads && kind == "UNITS")
        print "THREADED += " target
    print target ": " objects
    print target ": LIBS := " libs
}

FNR == 1 {
    finish()
    file = FILENAME
    needs = ""
    found = reading = threads = 0
    preload = /^\/\* preload/
    helper = /^\/\* helper/
}
/pthread_create/ { threads = 1 }
FNR <= 60 && !found && /needs:/ {
    sub(/.*needs:/, "")
    found = reading = 1
}
reading {
    line = $0
    if (line ~ /\*\//)
        reading = 0
    sub(/\*\/.*/, "", line)
    sub(/^[ \t]*\*+[ \t]/, " ", line)
    needs = needs " " line
}
END {
    finish()
    exit bad
}
