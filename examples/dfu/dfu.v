// The Data Fission Unit of the DeftNN paper (section 4.2.3, Figure 8): packed values to fp32 in one cycle.
// Combinational. headroom.change.fission.unit is its model, bit by bit; dfu_check.v compares the two.

// Deft-16Q: destination 0 is the low value, a zero-padded shift; destination 1 is the word itself.
module dfu_cvt_16 (
    input  wire [31:0] fused,
    output wire [63:0] values
);
    assign values = {fused, fused[15:0], 16'b0};
endmodule

// One value of Deft-8. The exponent moves to the bottom, the mantissa to the top; both shifts are by the same immediate.
module dfu_lane #(parameter ZERO = 0) (
    input  wire [7:0]  code,
    input  wire [2:0]  exponent_bits,
    input  wire [7:0]  bias_difference,
    output wire [31:0] value
);
    wire [6:0] magnitude = code[6:0];
    wire [6:0] exponent  = magnitude >> (3'd7 - exponent_bits);
    wire [6:0] mantissa  = magnitude << exponent_bits;
    wire [7:0] biased    = {1'b0, exponent} + bias_difference;
    // The paper's unit has no zero. With ZERO, code 0 means 0: one NOR of seven bits and a mask of the exponent.
    wire       kept      = ZERO ? |magnitude : 1'b1;
    assign value = {code[7], biased & {8{kept}}, mantissa, 16'b0};
endmodule

// Four values; the difference of the biases, 128 - 2^(N-1), is found once and shared.
module dfu_cvt_8 #(parameter ZERO = 0) (
    input  wire [31:0]  fused,
    input  wire [2:0]   exponent_bits,
    output wire [127:0] values
);
    wire [7:0] bias_difference = 8'd128 - (8'd1 << (exponent_bits - 3'd1));
    genvar lane;
    generate
        for (lane = 0; lane < 4; lane = lane + 1) begin : lanes
            dfu_lane #(.ZERO(ZERO)) one (
                fused[8 * lane +: 8], exponent_bits, bias_difference, values[32 * lane +: 32]
            );
        end
    endgenerate
endmodule

// The same function without an adder. 128 - 2^(N-1) is ones from bit N-1 to bit 6, so the sum is the exponent's top bit,
// its complement as often as bits are missing, and the rest of the exponent.
module dfu_lane_without_adder (
    input  wire [7:0]  code,
    input  wire [2:0]  exponent_bits,
    output wire [31:0] value
);
    wire [6:0] filled = (code[6] ? 7'h00 : 7'h7f) << (exponent_bits - 3'd1);
    wire [5:0] rest   = (code[5:0] >> (3'd7 - exponent_bits)) & ~(6'h3f << (exponent_bits - 3'd1));
    wire [6:0] mantissa = code[6:0] << exponent_bits;
    assign value = {code[7], code[6], filled | {1'b0, rest}, mantissa, 16'b0};
endmodule

module dfu_cvt_8_without_adder (
    input  wire [31:0]  fused,
    input  wire [2:0]   exponent_bits,
    output wire [127:0] values
);
    genvar lane;
    generate
        for (lane = 0; lane < 4; lane = lane + 1) begin : lanes
            dfu_lane_without_adder one (fused[8 * lane +: 8], exponent_bits, values[32 * lane +: 32]);
        end
    endgenerate
endmodule
