# The body of an agent event: kind and step from the environment, the last lines of output from standard input.
{
    line[NR] = $0
}
END {
    out = ""
    for (i = (NR > 20 ? NR - 19 : 1); i <= NR; i++) out = out (out == "" ? "" : "\n") line[i]
    printf "{\"kind\": %s, \"step\": %s, ", quoted(ENVIRON["KIND"]), quoted(ENVIRON["STEP"])
    printf "\"output\": %s}\n", quoted(out)
}
