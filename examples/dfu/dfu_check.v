// Compares the units with their model. vectors.hex, one test a line: exponent width, word, dfu_cvt_8's four values of the
// paper, its four values with a zero, and dfu_cvt_16's two, all as hexadecimal words.
module dfu_check;
    integer file, read, tests, wrong;
    reg [2:0] exponent_bits;
    reg [31:0] fused;
    reg [127:0] wanted, wanted_zero;
    reg [63:0] wanted_16;
    wire [127:0] found, found_zero, found_without_adder;
    wire [63:0] found_16;

    dfu_cvt_8 paper (fused, exponent_bits, found);
    dfu_cvt_8 #(.ZERO(1)) zero (fused, exponent_bits, found_zero);
    dfu_cvt_8_without_adder shorter (fused, exponent_bits, found_without_adder);
    dfu_cvt_16 two (fused, found_16);

    initial begin
        tests = 0;
        wrong = 0;
        file = $fopen("vectors.hex", "r");
        read = $fscanf(file, "%h %h %h %h %h\n", exponent_bits, fused, wanted, wanted_zero, wanted_16);
        while (read == 5) begin
            #1;
            tests = tests + 1;
            if (found !== wanted || found_zero !== wanted_zero || found_without_adder !== wanted || found_16 !== wanted_16)
                wrong = wrong + 1;
            read = $fscanf(file, "%h %h %h %h %h\n", exponent_bits, fused, wanted, wanted_zero, wanted_16);
        end
        $display("%0d tests, %0d wrong", tests, wrong);
        $finish;
    end
endmodule
