/* The compiler never comes to an end. */
#define A(x) x x x x x x x x x x
#define B(x) A(A(A(A(x))))
#define C(x) B(B(B(B(x))))
int main(void)
{
    return C(C(1 +)) 0;
}
